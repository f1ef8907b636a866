package csidriver

import (
	"context"
	"errors"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stsbackup/stsbackup/test/cluster/csidriver/store"
	"github.com/stsbackup/stsbackup/test/cluster/loopdev"
)

// ControllerGetCapabilities says what the controller can do.
func (d *Driver) ControllerGetCapabilities(
	context.Context,
	*csi.ControllerGetCapabilitiesRequest,
) (*csi.ControllerGetCapabilitiesResponse, error) {
	response := &csi.ControllerGetCapabilitiesResponse{}
	for _, t := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
		csi.ControllerServiceCapability_RPC_CLONE_VOLUME,
		csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
		csi.ControllerServiceCapability_RPC_LIST_VOLUMES,
		csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS,
		csi.ControllerServiceCapability_RPC_GET_CAPACITY,
		csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		response.Capabilities = append(response.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: t}},
		})
	}
	return response, nil
}

// CreateVolume makes a volume: empty, from a snapshot, or a clone of another volume. A repeated request gives the same
// volume.
func (d *Driver) CreateVolume(ctx context.Context, r *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	v, err := requested(r)
	if err != nil {
		return nil, err
	}
	if err := trouble(ctx, r.GetParameters()); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	snapshot, volume, err := d.source(&v, r.GetVolumeContentSource())
	if err != nil {
		return nil, err
	}
	var sourceSize int64
	switch {
	case snapshot != nil:
		sourceSize = snapshot.Size
	case volume != nil:
		sourceSize = volume.Size
	}
	if v.Size, err = fitted(v.Size, sourceSize, r.GetCapacityRange().GetLimitBytes()); err != nil {
		return nil, err
	}
	existing, err := d.store.Volume(v.ID)
	switch {
	case err == nil && existing != v:
		return nil, status.Errorf(codes.AlreadyExists, "volume %s exists with other properties", v.Name)
	case errors.Is(err, store.ErrNotFound):
		err = d.store.Create(v, snapshot, volume)
	}
	if err != nil {
		return nil, failed(err)
	}
	return &csi.CreateVolumeResponse{Volume: d.volume(v, r.GetVolumeContentSource())}, nil
}

// source finds what a volume is made from, and records it in the volume. The source must have the volume's format.
func (d *Driver) source(v *store.Volume, from *csi.VolumeContentSource) (*store.Snapshot, *store.Volume, error) {
	var format store.Format
	var snapshot *store.Snapshot
	var volume *store.Volume
	switch {
	case from.GetSnapshot() != nil:
		s, err := d.store.Snapshot(from.GetSnapshot().GetSnapshotId())
		if err != nil {
			return nil, nil, failed(err)
		}
		if !s.Ready(d.Now()) {
			return nil, nil, status.Errorf(codes.Unavailable, "snapshot %s is not ready to use", s.ID)
		}
		snapshot, format, v.Source = &s, s.Format, "snapshot/"+s.ID
	case from.GetVolume() != nil:
		s, err := d.store.Volume(from.GetVolume().GetVolumeId())
		if err != nil {
			return nil, nil, failed(err)
		}
		volume, format, v.Source = &s, s.Format, "volume/"+s.ID
	default:
		return nil, nil, nil
	}
	if format != v.Format {
		return nil, nil, invalid("the source is %+v, the volume is to be %+v", format, v.Format)
	}
	return snapshot, volume, nil
}

func (d *Driver) volume(v store.Volume, from *csi.VolumeContentSource) *csi.Volume {
	return &csi.Volume{VolumeId: v.ID, CapacityBytes: v.Size, ContentSource: from, AccessibleTopology: []*csi.Topology{d.topology()}}
}

// unstageWithin is how long deleting a volume waits for the kubelet. Volumes are not attached, so nothing else makes
// the provisioner wait until the kubelet has unstaged a volume.
const unstageWithin = 8 * time.Second

// DeleteVolume deletes a volume once nobody uses it any more; a volume that does not exist is no error.
func (d *Driver) DeleteVolume(ctx context.Context, r *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, invalid("a volume id is needed")
	}
	wait, cancel := context.WithTimeout(ctx, unstageWithin)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := d.deleteIdle(r.GetVolumeId())
		if err != nil {
			return nil, failed(err)
		}
		if done {
			return &csi.DeleteVolumeResponse{}, nil
		}
		select {
		case <-wait.Done():
			return nil, status.Errorf(codes.FailedPrecondition, "volume %s is still staged", r.GetVolumeId())
		case <-tick.C:
		}
	}
}

// deleteIdle deletes a volume unless it is in use.
func (d *Driver) deleteIdle(id string) (done bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.store.Volume(id)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if device, err := loopdev.Of(d.store.ImagePath(v.ID)); err != nil || device != "" {
		return false, err
	}
	return true, d.store.Delete(v.ID)
}

// ControllerExpandVolume makes a volume larger. It does all of the work, so nobody may use the volume meanwhile.
func (d *Driver) ControllerExpandVolume(
	_ context.Context,
	r *csi.ControllerExpandVolumeRequest,
) (*csi.ControllerExpandVolumeResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.store.Volume(r.GetVolumeId())
	if err != nil {
		return nil, failed(err)
	}
	size, err := fitted(r.GetCapacityRange().GetRequiredBytes(), 0, r.GetCapacityRange().GetLimitBytes())
	if err != nil {
		return nil, err
	}
	if size > v.Size {
		device, err := loopdev.Of(d.store.ImagePath(v.ID))
		if err != nil {
			return nil, failed(err)
		}
		if device != "" {
			return nil, status.Errorf(codes.FailedPrecondition, "volume %s is in use; it can only grow while no pod uses it", v.ID)
		}
		if v, err = d.store.Expand(v, size); err != nil {
			return nil, failed(err)
		}
	}
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: v.Size, NodeExpansionRequired: false}, nil
}

// ValidateVolumeCapabilities confirms capabilities that the volume has.
func (d *Driver) ValidateVolumeCapabilities(
	_ context.Context,
	r *csi.ValidateVolumeCapabilitiesRequest,
) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	v, err := d.store.Volume(r.GetVolumeId())
	if err != nil {
		return nil, failed(err)
	}
	for _, c := range r.GetVolumeCapabilities() {
		if (c.GetBlock() != nil) != v.Block {
			return &csi.ValidateVolumeCapabilitiesResponse{Message: "the volume has another mode"}, nil
		}
		if err := supported(v.Kind, c); err != nil {
			return &csi.ValidateVolumeCapabilitiesResponse{Message: err.Error()}, nil
		}
	}
	confirmed := &csi.ValidateVolumeCapabilitiesResponse_Confirmed{VolumeCapabilities: r.GetVolumeCapabilities()}
	return &csi.ValidateVolumeCapabilitiesResponse{Confirmed: confirmed}, nil
}

// ListVolumes lists volumes page by page.
func (d *Driver) ListVolumes(_ context.Context, r *csi.ListVolumesRequest) (*csi.ListVolumesResponse, error) {
	all, err := d.store.Volumes()
	if err != nil {
		return nil, failed(err)
	}
	from, to, next, err := page(len(all), r.GetStartingToken(), r.GetMaxEntries())
	if err != nil {
		return nil, err
	}
	response := &csi.ListVolumesResponse{NextToken: next}
	for _, v := range all[from:to] {
		response.Entries = append(response.Entries, &csi.ListVolumesResponse_Entry{Volume: d.volume(v, nil)})
	}
	return response, nil
}

// GetCapacity says how much can still be written.
func (d *Driver) GetCapacity(context.Context, *csi.GetCapacityRequest) (*csi.GetCapacityResponse, error) {
	free, err := d.store.Free()
	if err != nil {
		return nil, failed(err)
	}
	return &csi.GetCapacityResponse{AvailableCapacity: free}, nil
}
