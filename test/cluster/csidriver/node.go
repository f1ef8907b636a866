package csidriver

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stsbackup/stsbackup/test/cluster/csidriver/store"
	"github.com/stsbackup/stsbackup/test/cluster/loopdev"
	"github.com/stsbackup/stsbackup/test/cluster/mounts"
)

// NodeGetCapabilities says what the node part can do.
func (d *Driver) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	response := &csi.NodeGetCapabilitiesResponse{}
	for _, t := range []csi.NodeServiceCapability_RPC_Type{
		csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME,
		csi.NodeServiceCapability_RPC_GET_VOLUME_STATS,
		csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		response.Capabilities = append(response.Capabilities, &csi.NodeServiceCapability{
			Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: t}},
		})
	}
	return response, nil
}

// NodeGetInfo says which node this is and where.
func (d *Driver) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.Node, MaxVolumesPerNode: d.MaxVolumes, AccessibleTopology: d.topology()}, nil
}

// NodeStageVolume puts a volume's image on a loop device and, unless it is a block volume, mounts that.
func (d *Driver) NodeStageVolume(ctx context.Context, r *csi.NodeStageVolumeRequest) (*csi.NodeStageVolumeResponse, error) {
	staging := r.GetStagingTargetPath()
	if staging == "" || r.GetVolumeCapability() == nil {
		return nil, invalid("a staging path and a capability are needed")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.store.Volume(r.GetVolumeId())
	if err != nil {
		return nil, failed(err)
	}
	switch {
	case v.Kind == store.Dir:
	case v.Block:
		err = d.hold(v)
	default:
		err = d.mount(ctx, v, staging, r.GetVolumeCapability().GetMount().GetMountFlags())
	}
	if err != nil {
		return nil, failed(err)
	}
	return &csi.NodeStageVolumeResponse{}, nil
}

// hold attaches a block volume, and keeps its device open, so that the device stays.
func (d *Driver) hold(v store.Volume) error {
	if d.devices[v.ID] != nil {
		return nil
	}
	device, err := d.attach(v)
	if err != nil {
		return err
	}
	d.devices[v.ID] = device
	return nil
}

func (d *Driver) attach(v store.Volume) (*os.File, error) {
	return loopdev.Attach(d.store.ImagePath(v.ID), d.Tag+"/"+v.ID)
}

// mount attaches and mounts a volume; from then on the mount keeps the device.
func (d *Driver) mount(ctx context.Context, v store.Volume, staging string, flags []string) error {
	if on, err := mounts.Is(staging); err != nil || on {
		return err
	}
	if err := os.MkdirAll(staging, 0o750); err != nil {
		return err
	}
	device, err := d.attach(v)
	if err != nil {
		return err
	}
	defer device.Close()
	options := strings.Join(append([]string{"rw"}, flags...), ",")
	cmd := exec.CommandContext(ctx, "mount", "-t", v.FSType, "-o", options, device.Name(), staging)
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(errors.New(strings.TrimSpace(string(out))), err)
	}
	return nil
}

// NodeUnstageVolume undoes NodeStageVolume.
func (d *Driver) NodeUnstageVolume(_ context.Context, r *csi.NodeUnstageVolumeRequest) (*csi.NodeUnstageVolumeResponse, error) {
	if r.GetVolumeId() == "" || r.GetStagingTargetPath() == "" {
		return nil, invalid("a volume id and a staging path are needed")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := mounts.Unmount(r.GetStagingTargetPath()); err != nil {
		return nil, failed(err)
	}
	if device := d.devices[r.GetVolumeId()]; device != nil {
		delete(d.devices, r.GetVolumeId())
		_ = device.Close()
	}
	return &csi.NodeUnstageVolumeResponse{}, nil
}

// NodePublishVolume puts a staged volume where a pod's container finds it.
func (d *Driver) NodePublishVolume(_ context.Context, r *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	target := r.GetTargetPath()
	if target == "" || r.GetVolumeCapability() == nil {
		return nil, invalid("a target path and a capability are needed")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.store.Volume(r.GetVolumeId())
	if err != nil {
		return nil, failed(err)
	}
	if asked := r.GetVolumeCapability().GetBlock() != nil; asked != v.Block {
		return nil, invalid("block volume: %v, asked for as one: %v", v.Block, asked)
	}
	if on, err := mounts.Is(target); err != nil {
		return nil, failed(err)
	} else if on {
		return &csi.NodePublishVolumeResponse{}, nil
	}
	source := r.GetStagingTargetPath()
	switch {
	case v.Block && d.devices[v.ID] == nil:
		return nil, status.Errorf(codes.FailedPrecondition, "volume %s is not staged", v.ID)
	case v.Block:
		source = d.devices[v.ID].Name()
	case v.Kind == store.Dir:
		source = d.store.TreePath(v.ID)
	}
	if err := bind(source, target, v.Block, r.GetReadonly()); err != nil {
		return nil, failed(err)
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

// bind makes a file or folder appear at another path.
func bind(source, target string, file, readOnly bool) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return err
	}
	var err error
	if file {
		err = os.WriteFile(target, nil, 0o600)
	} else {
		err = os.MkdirAll(target, 0o750)
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return &os.PathError{Op: "bind to " + target, Path: source, Err: err}
	}
	if !readOnly {
		return nil
	}
	// A bind mount takes its flags from its source; only a remount can change them.
	if err := unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return errors.Join(&os.PathError{Op: "make read-only", Path: target, Err: err}, mounts.Unmount(target))
	}
	return nil
}

// NodeUnpublishVolume undoes NodePublishVolume.
func (d *Driver) NodeUnpublishVolume(_ context.Context, r *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	if r.GetVolumeId() == "" || r.GetTargetPath() == "" {
		return nil, invalid("a volume id and a target path are needed")
	}
	if err := mounts.Unmount(r.GetTargetPath()); err != nil {
		return nil, failed(err)
	}
	if err := os.Remove(r.GetTargetPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, failed(err)
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// NodeGetVolumeStats says how full a volume is.
func (d *Driver) NodeGetVolumeStats(_ context.Context, r *csi.NodeGetVolumeStatsRequest) (*csi.NodeGetVolumeStatsResponse, error) {
	v, err := d.store.Volume(r.GetVolumeId())
	if err != nil {
		return nil, failed(err)
	}
	if v.Block {
		return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{{Unit: csi.VolumeUsage_BYTES, Total: v.Size}}}, nil
	}
	var st unix.Statfs_t
	if err := unix.Statfs(r.GetVolumePath(), &st); err != nil {
		return nil, status.Errorf(codes.NotFound, "%s: %v", r.GetVolumePath(), err)
	}
	return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{
		{
			Unit:      csi.VolumeUsage_BYTES,
			Total:     int64(st.Blocks) * st.Bsize,
			Available: int64(st.Bavail) * st.Bsize,
			Used:      int64(st.Blocks-st.Bfree) * st.Bsize,
		},
		{Unit: csi.VolumeUsage_INODES, Total: int64(st.Files), Available: int64(st.Ffree), Used: int64(st.Files - st.Ffree)},
	}}, nil
}
