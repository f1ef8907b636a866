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

func (d *Driver) snapshot(s store.Snapshot) *csi.Snapshot {
	return &csi.Snapshot{
		SnapshotId: s.ID, SourceVolumeId: s.Volume, SizeBytes: s.Size, GroupSnapshotId: s.Group,
		CreationTime: timestamppb.New(s.Created), ReadyToUse: s.Ready(d.Now()),
	}
}

// CreateSnapshot cuts a volume. A repeated request gives the same snapshot, ready by then or not.
func (d *Driver) CreateSnapshot(ctx context.Context, r *csi.CreateSnapshotRequest) (*csi.CreateSnapshotResponse, error) {
	if r.GetName() == "" || r.GetSourceVolumeId() == "" {
		return nil, invalid("a name and a source volume are needed")
	}
	if err := trouble(ctx, r.GetParameters()); err != nil {
		return nil, err
	}
	later, err := readyAfter(r.GetParameters())
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	id := store.SnapshotID(r.GetName())
	existing, err := d.store.Snapshot(id)
	switch {
	case err == nil && existing.Volume != r.GetSourceVolumeId():
		return nil, status.Errorf(codes.AlreadyExists, "snapshot %s exists, of another volume", r.GetName())
	case err == nil:
		return &csi.CreateSnapshotResponse{Snapshot: d.snapshot(existing)}, nil
	case !errors.Is(err, store.ErrNotFound):
		return nil, failed(err)
	}
	v, err := d.store.Volume(r.GetSourceVolumeId())
	if err != nil {
		return nil, failed(err)
	}
	s := store.Snapshot{ID: id, Name: r.GetName(), Volume: v.ID, Size: v.Size, Format: v.Format, ReadyAfter: later}
	taken, err := d.store.Cut([]store.Volume{v}, []store.Snapshot{s})
	if err != nil {
		return nil, failed(err)
	}
	return &csi.CreateSnapshotResponse{Snapshot: d.snapshot(taken[0])}, nil
}

// DeleteSnapshot deletes a snapshot that is no member of a group; one that does not exist is no error.
func (d *Driver) DeleteSnapshot(_ context.Context, r *csi.DeleteSnapshotRequest) (*csi.DeleteSnapshotResponse, error) {
	if r.GetSnapshotId() == "" {
		return nil, invalid("a snapshot id is needed")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.store.Snapshot(r.GetSnapshotId())
	if errors.Is(err, store.ErrNotFound) {
		return &csi.DeleteSnapshotResponse{}, nil
	}
	if err != nil {
		return nil, failed(err)
	}
	if s.Group != "" {
		return nil, invalid("snapshot %s is a member of group snapshot %s, with which it goes", s.ID, s.Group)
	}
	if err := d.store.DeleteSnapshot(s.ID); err != nil {
		return nil, failed(err)
	}
	return &csi.DeleteSnapshotResponse{}, nil
}

// ListSnapshots lists snapshots page by page: all, one, or those of one volume.
func (d *Driver) ListSnapshots(_ context.Context, r *csi.ListSnapshotsRequest) (*csi.ListSnapshotsResponse, error) {
	all, err := d.store.Snapshots()
	if err != nil {
		return nil, failed(err)
	}
	all = slices.DeleteFunc(all, func(s store.Snapshot) bool {
		return r.GetSnapshotId() != "" && s.ID != r.GetSnapshotId() || r.GetSourceVolumeId() != "" && s.Volume != r.GetSourceVolumeId()
	})
	from, to, next, err := page(len(all), r.GetStartingToken(), r.GetMaxEntries())
	if err != nil {
		return nil, err
	}
	response := &csi.ListSnapshotsResponse{NextToken: next}
	for _, s := range all[from:to] {
		response.Entries = append(response.Entries, &csi.ListSnapshotsResponse_Entry{Snapshot: d.snapshot(s)})
	}
	return response, nil
}
