package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestClassifyVolumeSnapshot(t *testing.T) {
	made := time.Date(2026, 11, 21, 8, 12, 0, 0, time.UTC)
	cutAt := metav1.NewTime(made.Add(time.Second))
	size := resource.MustParse("64Mi")
	failure := &snapshotv1.VolumeSnapshotError{Message: new("no space in the array")}
	for name, tt := range map[string]struct {
		status *snapshotv1.VolumeSnapshotStatus
		want   Cut
	}{
		"nothing yet":     {nil, Cut{Phase: CutPending}},
		"an empty status": {&snapshotv1.VolumeSnapshotStatus{ReadyToUse: new(false)}, Cut{Phase: CutPending}},
		"failing":         {&snapshotv1.VolumeSnapshotStatus{Error: failure}, Cut{Phase: CutFailing, Message: "no space in the array"}},
		"failing, no word": {
			&snapshotv1.VolumeSnapshotStatus{Error: &snapshotv1.VolumeSnapshotError{}},
			Cut{Phase: CutFailing, Message: "the driver gave no message"},
		},
		"cut, not ready": {
			&snapshotv1.VolumeSnapshotStatus{CreationTime: &cutAt, ReadyToUse: new(false)},
			Cut{Phase: CutTaken, Time: cutAt.Time},
		},
		"cut, then an error": {
			&snapshotv1.VolumeSnapshotStatus{CreationTime: &cutAt, Error: failure},
			Cut{Phase: CutTaken, Time: cutAt.Time, Message: "no space in the array"},
		},
		"ready": {
			&snapshotv1.VolumeSnapshotStatus{CreationTime: &cutAt, ReadyToUse: new(true), RestoreSize: &size},
			Cut{Phase: CutReady, Time: cutAt.Time, Size: 64 << 20},
		},
		"ready, with an old error": {
			&snapshotv1.VolumeSnapshotStatus{CreationTime: &cutAt, ReadyToUse: new(true), Error: failure},
			Cut{Phase: CutReady, Time: cutAt.Time},
		},
		"ready, without a time": {&snapshotv1.VolumeSnapshotStatus{ReadyToUse: new(true)}, Cut{Phase: CutReady, Time: made}},
	} {
		t.Run(name, func(t *testing.T) {
			vs := &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(made)}, Status: tt.status}
			if diff := cmp.Diff(tt.want, ClassifyVolumeSnapshot(vs)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestChooseVolumeSnapshotClass(t *testing.T) {
	class := func(name, driver string, policy snapshotv1.DeletionPolicy, isDefault bool) snapshotv1.VolumeSnapshotClass {
		c := snapshotv1.VolumeSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Driver: driver, DeletionPolicy: policy}
		if isDefault {
			c.Annotations = map[string]string{defaultClassAnnotation: "true"}
		}
		return c
	}
	del, retain := snapshotv1.VolumeSnapshotContentDelete, snapshotv1.VolumeSnapshotContentRetain
	classes := []snapshotv1.VolumeSnapshotClass{
		class("a-retain", "disk", retain, false), class("b-slow", "disk", del, false), class("z-default", "disk", del, true),
		class("y", "file", del, false), class("x", "file", retain, false), class("w", "file", del, false),
		class("only-retain", "tape", retain, false),
	}
	for _, tt := range []struct{ driver, want, chosen, message string }{
		{driver: "disk", chosen: "z-default"},
		{driver: "file", chosen: "w"},
		{driver: "tape", chosen: "only-retain"},
		{driver: "disk", want: "a-retain", chosen: "a-retain"},
		{driver: "nfs", message: "no VolumeSnapshotClass for CSI driver nfs"},
		{driver: "disk", want: "nope", message: "no VolumeSnapshotClass called nope"},
		{driver: "disk", want: "w", message: "no VolumeSnapshotClass for CSI driver disk: class w belongs to driver file"},
	} {
		got, err := ChooseVolumeSnapshotClass(classes, tt.driver, tt.want)
		if tt.message != "" {
			if err == nil || err.Error() != tt.message || !errors.Is(err, ErrNoVolumeSnapshotClass) {
				t.Errorf("%s/%s: error %v, want %q", tt.driver, tt.want, err, tt.message)
			}
			continue
		}
		if err != nil || got.Name != tt.chosen {
			t.Errorf("%s/%s: got %v, %v, want %s", tt.driver, tt.want, got, err, tt.chosen)
		}
	}
}

func TestTemporaryClaim(t *testing.T) {
	class, mode := "fast", corev1.PersistentVolumeFilesystem
	source := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "www-web-0"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: &class, VolumeMode: &mode,
		},
	}
	for _, tt := range []struct {
		request, capacity string
		size              int64
		want              string
	}{
		{"1Gi", "1Gi", 0, "1Gi"},
		{"1Gi", "2Gi", 1 << 30, "2Gi"}, // grown
		{"3Gi", "2Gi", 1 << 30, "3Gi"}, // growing
		{"1Gi", "1Gi", 4 << 30, "4Gi"}, // the driver rounds up
	} {
		source.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(tt.request)}
		source.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(tt.capacity)}
		claim := TemporaryClaim(testOperation(), 0, "www", source, "vs", tt.size)
		if got := claim.Spec.Resources.Requests.Storage().String(); got != tt.want {
			t.Errorf("request %s, capacity %s, size %d: %s, want %s", tt.request, tt.capacity, tt.size, got, tt.want)
		}
		if *claim.Spec.StorageClassName != class || *claim.Spec.VolumeMode != mode || claim.Spec.DataSource.Name != "vs" {
			t.Errorf("claim %+v is not like its source", claim.Spec)
		}
	}
}

// TestAwaitVolumeSnapshot plays drivers of different kinds.
func TestAwaitVolumeSnapshot(t *testing.T) {
	cutAt := metav1.NewTime(time.Date(2026, 11, 21, 8, 12, 0, 0, time.UTC))
	failing := &snapshotv1.VolumeSnapshotStatus{Error: &snapshotv1.VolumeSnapshotError{Message: new("no space in the array")}}
	cut := &snapshotv1.VolumeSnapshotStatus{CreationTime: &cutAt, ReadyToUse: new(false)}
	ready := &snapshotv1.VolumeSnapshotStatus{CreationTime: &cutAt, ReadyToUse: new(true)}
	const patience = time.Minute
	for name, tt := range map[string]struct {
		phase     CutPhase
		statuses  []*snapshotv1.VolumeSnapshotStatus // one every 40 s
		ready     time.Duration
		cutBefore time.Duration // how long before the wait
		says      string
		after     time.Duration
	}{
		"cut": {phase: CutTaken, statuses: []*snapshotv1.VolumeSnapshotStatus{cut}, after: 40 * time.Second},
		"ready": {
			phase: CutReady, statuses: []*snapshotv1.VolumeSnapshotStatus{cut, cut, cut, ready}, ready: 5 * time.Minute,
			after: 160 * time.Second,
		},
		"an error that passes": {phase: CutTaken, statuses: []*snapshotv1.VolumeSnapshotStatus{failing, cut}, after: 80 * time.Second},
		"an error that stays": {
			phase: CutTaken, statuses: []*snapshotv1.VolumeSnapshotStatus{failing}, says: "no space in the array",
			after: 100 * time.Second,
		},
		"nobody there": {phase: CutTaken, says: "snapshot controller", after: 60 * time.Second},
		"an error on its way up": {
			phase: CutReady, statuses: []*snapshotv1.VolumeSnapshotStatus{cut, failing}, ready: time.Hour, says: "no space in the array",
			after: 140 * time.Second,
		},
		"never ready": {
			phase: CutReady, statuses: []*snapshotv1.VolumeSnapshotStatus{cut}, ready: 5 * time.Minute,
			says: "not ready after 5m0s; read the logs", after: 5 * time.Minute,
		},
		"never ready, cut long ago": {
			phase: CutReady, statuses: []*snapshotv1.VolumeSnapshotStatus{cut}, ready: 5 * time.Minute, cutBefore: 4 * time.Minute,
			says: "--snapshot-ready-timeout", after: time.Minute,
		},
		"deleted by somebody": {
			phase: CutTaken, statuses: []*snapshotv1.VolumeSnapshotStatus{nil}, says: "deleted by somebody else", after: 40 * time.Second,
		},
		"an error before it is late": {
			phase: CutTaken, statuses: []*snapshotv1.VolumeSnapshotStatus{failing, failing, ready}, says: "no space",
			after: 100 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, snapshots := fakeCluster()
				vs, err := c.CreateVolumeSnapshot(t.Context(), testOperation(), 0, "www", "www-web-0", "fast")
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					objects := snapshots.SnapshotV1().VolumeSnapshots("demo")
					for _, status := range tt.statuses {
						<-time.After(40 * time.Second)
						object, err := objects.Get(context.Background(), vs.Name, metav1.GetOptions{})
						if err != nil {
							return
						}
						if object.Status = status; status == nil {
							_ = objects.Delete(context.Background(), vs.Name, metav1.DeleteOptions{})
							continue
						}
						_, _ = objects.UpdateStatus(context.Background(), object, metav1.UpdateOptions{})
					}
				}()
				begun := time.Now()
				_, err = c.AwaitVolumeSnapshot(
					t.Context(),
					"demo",
					vs.Name,
					tt.phase,
					CutLimits{Patience: patience, Ready: tt.ready, Since: time.Now().Add(-tt.cutBefore)},
				)
				if tt.says == "" && err != nil {
					t.Errorf("error %v", err)
				}
				if tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
					t.Errorf("error %v does not say %q", err, tt.says)
				}
				if after := time.Since(begun).Round(5 * time.Second); after != tt.after {
					t.Errorf("took %s, want %s", after, tt.after)
				}
				synctest.Wait()
				<-time.After(time.Hour) // let the player end
			})
		})
	}
}

// TestAwaitVolumeSnapshotSays: the wait says what it waits for, before anybody asks why nothing happens.
func TestAwaitVolumeSnapshotSays(t *testing.T) {
	cutAt := metav1.NewTime(time.Date(2026, 11, 21, 8, 12, 0, 0, time.UTC))
	for name, tt := range map[string]struct {
		status *snapshotv1.VolumeSnapshotStatus
		phase  CutPhase
		says   string
	}{
		"not taken": {nil, CutTaken, "10s waiting (for up to 1m0s): VolumeSnapshot demo/stsbackup-01-0-www: the driver has not taken it yet"},
		"failing": {&snapshotv1.VolumeSnapshotStatus{Error: &snapshotv1.VolumeSnapshotError{Message: new("no space")}}, CutTaken,
			"10s waiting (for up to 1m0s): VolumeSnapshot demo/stsbackup-01-0-www: the driver reports an error and goes on trying: no space"},
		"never ready": {&snapshotv1.VolumeSnapshotStatus{CreationTime: &cutAt, ReadyToUse: new(false)}, CutReady,
			"10s waiting (for up to 1h0m0s): VolumeSnapshot demo/stsbackup-01-0-www: it was taken at 2026-11-21T08:12:00Z and is not ready yet"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, snapshots := fakeCluster()
				begun := time.Now()
				var said []string
				c.Waiting = func(message string) { said = append(said, time.Since(begun).String()+" "+message) }
				vs, err := c.CreateVolumeSnapshot(t.Context(), testOperation(), 0, "www", "www-web-0", "fast")
				if err != nil {
					t.Fatal(err)
				}
				vs.Status = tt.status
				if _, err := snapshots.SnapshotV1().VolumeSnapshots("demo").UpdateStatus(t.Context(), vs, metav1.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
				if _, err := c.AwaitVolumeSnapshot(
					t.Context(),
					"demo",
					vs.Name,
					tt.phase,
					CutLimits{Patience: time.Minute, Ready: time.Hour},
				); err == nil {
					t.Error("it has an end")
				}
				says := strings.ReplaceAll(tt.says, "demo/stsbackup-01-0-www", "demo/"+vs.Name)
				if len(said) == 0 || !strings.HasPrefix(said[0], says) {
					t.Errorf("said %q, want first %q", said, says)
				}
			})
		})
	}
}
