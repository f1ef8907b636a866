package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Deleting a VolumeSnapshot before it is tied to its content would leave the content behind.
func TestDeleteVolumeSnapshotAwaitsItsContent(t *testing.T) {
	bound := &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: new("snapcontent-x")}
	failed := &snapshotv1.VolumeSnapshotStatus{Error: &snapshotv1.VolumeSnapshotError{Message: new("no such class")}}
	for name, tt := range map[string]struct {
		status, later *snapshotv1.VolumeSnapshotStatus // later: after 3 s
		gone          bool                             // after 3 s
		after         time.Duration
	}{
		"tied already":       {status: bound},
		"has failed":         {status: failed},
		"is tied meanwhile":  {status: &snapshotv1.VolumeSnapshotStatus{}, later: bound, after: 3 * time.Second},
		"fails meanwhile":    {later: failed, after: 3 * time.Second},
		"goes meanwhile":     {gone: true, after: 3 * time.Second},
		"nobody is there":    {after: contentWithin},
		"nothing comes back": {status: &snapshotv1.VolumeSnapshotStatus{}, after: contentWithin},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, snapshots := fakeCluster()
				objects := snapshots.SnapshotV1().VolumeSnapshots("demo")
				vs := &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "cut", UID: "cut-uid"}, Status: tt.status}
				if _, err := objects.Create(t.Context(), vs, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(3*time.Second, func() {
					switch {
					case tt.gone:
						_ = objects.Delete(context.Background(), vs.Name, metav1.DeleteOptions{})
					case tt.later != nil:
						changed := vs.DeepCopy()
						changed.Status = tt.later
						_, _ = objects.UpdateStatus(context.Background(), changed, metav1.UpdateOptions{})
					}
				})
				begun := time.Now()
				if err := c.DeleteVolumeSnapshot(t.Context(), vs, Removing{}); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); took < tt.after || took > tt.after+2*time.Second {
					t.Errorf("took %s, want %s and a little", took, tt.after)
				}
				if _, err := objects.Get(t.Context(), vs.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
					t.Errorf("it is still there: %v", err)
				}
			})
		})
	}
}

// The sidecar would skip a content that is deleted while the driver takes its cut.
func TestDeleteVolumeSnapshotAwaitsTheCut(t *testing.T) {
	taken := &snapshotv1.VolumeSnapshotContentStatus{SnapshotHandle: new("handle")}
	failed := &snapshotv1.VolumeSnapshotContentStatus{Error: &snapshotv1.VolumeSnapshotError{Message: new("no room")}}
	creating := map[string]string{beingCreated: "yes"}
	for name, tt := range map[string]struct {
		annotations   map[string]string
		status, later *snapshotv1.VolumeSnapshotContentStatus // later: after 3 s, without annotations
		after         time.Duration
	}{
		"taken already":          {status: taken},
		"has failed":             {annotations: creating, status: failed},
		"is taken meanwhile":     {annotations: creating, later: taken, after: 3 * time.Second},
		"was not begun yet":      {later: taken, after: 3 * time.Second},
		"is noted meanwhile":     {annotations: creating, status: taken, later: taken, after: 3 * time.Second},
		"takes longer than that": {annotations: creating, after: contentWithin},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, snapshots := fakeCluster()
				vs := &snapshotv1.VolumeSnapshot{
					ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "cut", UID: "cut-uid"},
					Status:     &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: new("snapcontent-x")},
				}
				if _, err := snapshots.SnapshotV1().VolumeSnapshots("demo").Create(t.Context(), vs, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
				content := &snapshotv1.VolumeSnapshotContent{
					ObjectMeta: metav1.ObjectMeta{Name: "snapcontent-x", Annotations: tt.annotations},
					Spec:       snapshotv1.VolumeSnapshotContentSpec{DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete},
					Status:     tt.status,
				}
				contents := snapshots.SnapshotV1().VolumeSnapshotContents()
				if _, err := contents.Create(t.Context(), content, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
				if tt.later != nil {
					time.AfterFunc(3*time.Second, func() {
						changed := content.DeepCopy()
						changed.Annotations, changed.Status = nil, tt.later
						_, _ = contents.Update(context.Background(), changed, metav1.UpdateOptions{})
					})
				}
				begun := time.Now()
				if err := c.DeleteVolumeSnapshot(t.Context(), vs, Removing{}); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); took < tt.after || took > tt.after+2*time.Second {
					t.Errorf("took %s, want %s and a little", took, tt.after)
				}
			})
		})
	}
}

// The deletion also says when it waits for the snapshot controller and its sidecar.
func TestDeleteVolumeSnapshotSaysWhatItWaitsFor(t *testing.T) {
	for name, tt := range map[string]struct {
		status  *snapshotv1.VolumeSnapshotStatus
		content *snapshotv1.VolumeSnapshotContent
		says    string
	}{
		"for the controller": {says: "snapshot controller"},
		"for the cut": {
			status:  &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: new("c")},
			content: &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: "c"}}, says: "taken the cut",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				vs := &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "cut", UID: "cut-uid"}, Status: tt.status}
				objects := []runtime.Object{vs}
				if tt.content != nil {
					objects = append(objects, tt.content)
				}
				c := sweepCluster(t, objects...)
				var said told
				if err := c.DeleteVolumeSnapshot(t.Context(), vs, said.removing(0)); err != nil {
					t.Fatal(err)
				}
				said.soon(t, "VolumeSnapshot demo/cut", tt.says)
			})
		})
	}
}
