package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// contentWithin is how long to wait, before a deletion, for the snapshot controller to tie a VolumeSnapshot to its
	// content, and for its sidecar to take the cut. That takes moments if they run; if they do not run, waiting does not help.
	contentWithin = 10 * time.Second
	// contentPoll is the time between two looks at a content.
	contentPoll = 200 * time.Millisecond
	// beingCreated is the annotation by which the sidecar marks a content while its driver takes the cut.
	beingCreated = "snapshot.storage.kubernetes.io/volumesnapshot-being-created"
)

// DeleteVolumeSnapshot deletes a VolumeSnapshot that CreateVolumeSnapshot made, with its data, and waits until
// it is gone. A VolumeSnapshot that does not exist is no error; one that does not go is a *Leftover. Without
// the right to change what happens to the data, the class decides. If the class retains the data, the
// VolumeSnapshot is deleted all the same, and the error names what stays.
func (c *Client) DeleteVolumeSnapshot(ctx context.Context, vs *snapshotv1.VolumeSnapshot, removing Removing) error {
	mine := func(current *snapshotv1.VolumeSnapshot) bool { return current.UID == vs.UID }
	_, left, err := c.deleteVolumeSnapshot(ctx, vs.Namespace, vs.Name, mine, removing)
	return errors.Join(err, joined(left))
}

// deleteVolumeSnapshot is DeleteVolumeSnapshot for the VolumeSnapshot of that name, if mine accepts it in its present state.
func (c *Client) deleteVolumeSnapshot(ctx context.Context, namespace, name string, mine func(*snapshotv1.VolumeSnapshot) bool,
	removing Removing,
) (deleted bool, left []*Leftover, err error) {
	deadline := c.now().Add(removing.limit())
	vs, err := c.volumeSnapshot(ctx, namespace, name, mine)
	if vs == nil || err != nil {
		return false, nil, err
	}
	if vs, err = c.awaitContent(ctx, vs, removing.Waiting); vs == nil || err != nil {
		return false, nil, err
	}
	if err := c.awaitCut(ctx, vs, removing.Waiting); err != nil {
		return false, nil, err
	}
	deleted, stays, err := c.releaseAndDelete(ctx, namespace, name, mine)
	if !deleted || err != nil {
		return false, nil, err
	}
	gone := leaving[*snapshotv1.VolumeSnapshot]{
		client: c, view: c.volumeSnapshots(namespace, metav1.ListOptions{}).named(name), mine: mine, waiting: removing.Waiting,
		why: func(_ context.Context, vs *snapshotv1.VolumeSnapshot) *Leftover {
			return &Leftover{
				Object: "VolumeSnapshot " + vs.Namespace + "/" + vs.Name, Reason: whyHeld(vs),
				Next: "check that the snapshot controller and the driver's csi-snapshotter run",
			}
		},
	}
	left, err = gone.await(ctx, deadline.Sub(c.now()))
	return true, left, errors.Join(err, stays)
}

// volumeSnapshot reads the VolumeSnapshot of that name; nil if it does not exist, or mine does not accept it.
func (c *Client) volumeSnapshot(
	ctx context.Context,
	namespace, name string,
	mine func(*snapshotv1.VolumeSnapshot) bool,
) (*snapshotv1.VolumeSnapshot, error) {
	vs, err := c.Snapshots.SnapshotV1().VolumeSnapshots(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read VolumeSnapshot %s/%s: %w", namespace, name, err)
	}
	if !mine(vs) {
		return nil, nil
	}
	return vs, nil
}

// releaseAndDelete makes the data of a VolumeSnapshot go with it, and deletes exactly the version that it has
// looked at, if mine accepts that version. The error stays says that the data may stay.
func (c *Client) releaseAndDelete(
	ctx context.Context,
	namespace, name string,
	mine func(*snapshotv1.VolumeSnapshot) bool,
) (deleted bool, stays, err error) {
	for range judgeAgain {
		vs, err := c.volumeSnapshot(ctx, namespace, name, mine)
		if vs == nil || err != nil {
			return false, nil, err
		}
		denied := c.releaseContent(ctx, vs)
		if apierrors.IsConflict(denied) {
			continue
		}
		if denied != nil && !apierrors.IsForbidden(denied) {
			return false, nil, denied
		}
		if denied != nil && c.deletesContent(ctx, vs) {
			denied = nil
		}
		err = c.Snapshots.SnapshotV1().VolumeSnapshots(namespace).Delete(ctx, name, exactly(vs))
		if apierrors.IsConflict(err) {
			continue
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return false, nil, fmt.Errorf("delete VolumeSnapshot %s/%s: %w", namespace, name, err)
		}
		if denied != nil {
			stays = fmt.Errorf(
				"VolumeSnapshot %s/%s is deleted, and its data may stay: %w; delete that content, and use a class with deletionPolicy Delete",
				namespace,
				name,
				denied,
			)
		}
		return true, stays, nil
	}
	return false, nil, fmt.Errorf("delete VolumeSnapshot %[1]s/%[2]s: %[3]w: something keeps changing it; "+
		"\"kubectl -n %[1]s get volumesnapshot %[2]s -o yaml --show-managed-fields\" shows who: stop that", namespace, name, ErrChanged)
}

// deletesContent reports whether the class of a VolumeSnapshot has its data deleted with it, as far as we may read classes.
func (c *Client) deletesContent(ctx context.Context, vs *snapshotv1.VolumeSnapshot) bool {
	if vs.Spec.VolumeSnapshotClassName == nil {
		return false
	}
	classes, err := c.VolumeSnapshotClasses(ctx)
	return err == nil && slices.ContainsFunc(classes, func(class snapshotv1.VolumeSnapshotClass) bool {
		return class.Name == *vs.Spec.VolumeSnapshotClassName && class.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete
	})
}

// awaitContent waits until a VolumeSnapshot has its content, and returns it as it is then; nil if it is gone. Deleting a
// VolumeSnapshot while the snapshot controller makes its content can leave that content behind, with the driver's data.
func (c *Client) awaitContent(
	ctx context.Context,
	vs *snapshotv1.VolumeSnapshot,
	waiting func(string),
) (*snapshotv1.VolumeSnapshot, error) {
	limited, cancel := WithLimit(ctx, contentWithin)
	defer cancel()
	tell := c.tellOnce(
		waiting,
		fmt.Sprintf("VolumeSnapshot %s/%s is to go: waiting until the snapshot controller has bound it to its content", vs.Namespace, vs.Name),
	)
	view := c.volumeSnapshots(vs.Namespace, metav1.ListOptions{}).named(vs.Name)
	err := await(limited, c.relist(), view, func(found []*snapshotv1.VolumeSnapshot) (bool, error) {
		if len(found) == 0 || found[0].UID != vs.UID {
			vs = nil
			return true, nil
		}
		vs = found[0]
		tell()
		status := vs.Status
		return vs.DeletionTimestamp != nil || status != nil && (status.BoundVolumeSnapshotContentName != nil || status.Error != nil), nil
	})
	if err != nil && (limited.Err() == nil || ctx.Err() != nil) {
		return nil, err
	}
	return vs, nil
}

// awaitCut waits until the driver has taken the cut, or failed to. If a content is deleted before that, the
// sidecar skips it, and looks at it again only after a quarter of an hour.
func (c *Client) awaitCut(ctx context.Context, vs *snapshotv1.VolumeSnapshot, waiting func(string)) error {
	tell := c.tellOnce(
		waiting,
		fmt.Sprintf("VolumeSnapshot %s/%s is to go: waiting until its driver has taken the cut", vs.Namespace, vs.Name),
	)
	err := wait.PollUntilContextTimeout(ctx, contentPoll, contentWithin, true, func(ctx context.Context) (bool, error) {
		tell()
		content, err := c.Snapshots.SnapshotV1().VolumeSnapshotContents().Get(ctx, contentName(vs), metav1.GetOptions{})
		if err != nil { // it does not exist, or we may not read it: nothing to wait for
			return true, nil //nolint:nilerr // what is wrong shows when it is released
		}
		status := content.Status
		return status != nil &&
			(status.Error != nil || status.SnapshotHandle != nil && !metav1.HasAnnotation(content.ObjectMeta, beingCreated)), nil
	})
	if ctx.Err() != nil {
		return fmt.Errorf("wait for the cut of VolumeSnapshot %s/%s before deleting it: %w", vs.Namespace, vs.Name, context.Cause(ctx))
	}
	if err != nil && !wait.Interrupted(err) {
		return err
	}
	return nil
}

// contentName is the name of a VolumeSnapshot's content. If it has none yet, contentName is the one that the
// controller may be about to bind, whose name it derives from the UID.
func contentName(vs *snapshotv1.VolumeSnapshot) string {
	if vs.Status != nil && vs.Status.BoundVolumeSnapshotContentName != nil {
		return *vs.Status.BoundVolumeSnapshotContentName
	}
	return "snapcontent-" + string(vs.UID)
}

// releaseContent ensures that the data goes with the VolumeSnapshot. A class with deletionPolicy Retain would
// keep the data, and its cost, for ever.
func (c *Client) releaseContent(ctx context.Context, vs *snapshotv1.VolumeSnapshot) error {
	contents := c.Snapshots.SnapshotV1().VolumeSnapshotContents()
	name := contentName(vs)
	content, err := contents.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read VolumeSnapshotContent %s: %w", name, err)
	}
	if content.Spec.VolumeSnapshotRef.UID != vs.UID || content.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete {
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": content.UID, "resourceVersion": content.ResourceVersion},
		"spec":     map[string]any{"deletionPolicy": snapshotv1.VolumeSnapshotContentDelete},
	})
	if err != nil {
		return err
	}
	if _, err := contents.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("set VolumeSnapshotContent %s to be deleted with its VolumeSnapshot: %w", name, err)
	}
	return nil
}
