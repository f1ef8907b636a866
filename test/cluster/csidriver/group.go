package csidriver

import (
	"context"
	"errors"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stsbackup/stsbackup/test/cluster/csidriver/store"
)

// GroupControllerGetCapabilities says that several volumes can be cut at one moment.
func (d *Driver) GroupControllerGetCapabilities(
	context.Context, *csi.GroupControllerGetCapabilitiesRequest,
) (*csi.GroupControllerGetCapabilitiesResponse, error) {
	return &csi.GroupControllerGetCapabilitiesResponse{Capabilities: []*csi.GroupControllerServiceCapability{{
		Type: &csi.GroupControllerServiceCapability_Rpc{Rpc: &csi.GroupControllerServiceCapability_RPC{
			Type: csi.GroupControllerServiceCapability_RPC_CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT,
		}},
	}}}, nil
}

// group describes a group snapshot with its members; it is ready when all of them are.
func (d *Driver) group(g store.Group) (*csi.VolumeGroupSnapshot, error) {
	described := &csi.VolumeGroupSnapshot{GroupSnapshotId: g.ID, CreationTime: timestamppb.New(g.Created), ReadyToUse: true}
	for _, id := range g.Snapshots {
		s, err := d.store.Snapshot(id)
		if err != nil {
			return nil, failed(err)
		}
		described.Snapshots = append(described.Snapshots, d.snapshot(s))
		described.ReadyToUse = described.ReadyToUse && s.Ready(d.Now())
	}
	return described, nil
}

// CreateVolumeGroupSnapshot cuts several volumes at one moment.
func (d *Driver) CreateVolumeGroupSnapshot(
	ctx context.Context, r *csi.CreateVolumeGroupSnapshotRequest,
) (*csi.CreateVolumeGroupSnapshotResponse, error) {
	if r.GetName() == "" || len(r.GetSourceVolumeIds()) == 0 {
		return nil, invalid("a name and source volumes are needed")
	}
	if err := trouble(ctx, r.GetParameters()); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	ids := slices.Sorted(slices.Values(r.GetSourceVolumeIds()))
	g, err := d.store.Group(store.GroupID(r.GetName()))
	switch {
	case err == nil && !slices.Equal(g.Volumes, ids):
		return nil, status.Errorf(codes.AlreadyExists, "group snapshot %s exists, of other volumes", r.GetName())
	case errors.Is(err, store.ErrNotFound):
		g, err = d.cutGroup(r, ids)
	}
	if err != nil {
		return nil, failed(err)
	}
	described, err := d.group(g)
	return &csi.CreateVolumeGroupSnapshotResponse{GroupSnapshot: described}, err
}

func (d *Driver) cutGroup(r *csi.CreateVolumeGroupSnapshotRequest, ids []string) (store.Group, error) {
	later, err := readyAfter(r.GetParameters())
	if err != nil {
		return store.Group{}, err
	}
	g := store.Group{ID: store.GroupID(r.GetName()), Name: r.GetName(), Volumes: ids}
	var volumes []store.Volume
	var snapshots []store.Snapshot
	for _, id := range ids {
		v, err := d.store.Volume(id)
		if err != nil {
			return g, err
		}
		name := r.GetName() + "/" + id
		volumes = append(volumes, v)
		snapshots = append(snapshots, store.Snapshot{
			ID: store.SnapshotID(name), Name: name, Volume: id, Size: v.Size, Format: v.Format, ReadyAfter: later, Group: g.ID,
		})
	}
	return d.store.CutGroup(g, volumes, snapshots)
}

// DeleteVolumeGroupSnapshot deletes a group snapshot with its members; one that does not exist is no error.
func (d *Driver) DeleteVolumeGroupSnapshot(
	_ context.Context, r *csi.DeleteVolumeGroupSnapshotRequest,
) (*csi.DeleteVolumeGroupSnapshotResponse, error) {
	if r.GetGroupSnapshotId() == "" {
		return nil, invalid("a group snapshot id is needed")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	g, err := d.store.Group(r.GetGroupSnapshotId())
	if err == nil {
		err = d.store.DeleteGroup(g)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, failed(err)
	}
	return &csi.DeleteVolumeGroupSnapshotResponse{}, nil
}

// GetVolumeGroupSnapshot describes a group snapshot.
func (d *Driver) GetVolumeGroupSnapshot(
	_ context.Context, r *csi.GetVolumeGroupSnapshotRequest,
) (*csi.GetVolumeGroupSnapshotResponse, error) {
	g, err := d.store.Group(r.GetGroupSnapshotId())
	if err != nil {
		return nil, failed(err)
	}
	described, err := d.group(g)
	return &csi.GetVolumeGroupSnapshotResponse{GroupSnapshot: described}, err
}
