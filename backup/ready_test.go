package backup

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

// TestRunVolumeSnapshotsNeverReady: if no cut ever gets ready, the backup ends in the time of one of them, and
// it says what it waits for.
func TestRunVolumeSnapshotsNeverReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.snapshots.PrependReactor("create", "volumesnapshots", func(action clienttesting.Action) (bool, runtime.Object, error) {
			vs := action.(clienttesting.CreateAction).GetObject().(*snapshotv1.VolumeSnapshot)
			vs.Status = &snapshotv1.VolumeSnapshotStatus{CreationTime: new(metav1.Now()), ReadyToUse: new(false)}
			return true, vs, s.snapshots.Tracker().Create(action.GetResource(), vs, "demo")
		})
		begun, said := time.Now(), time.Duration(0)
		var ended time.Duration
		s.on = func(what string) {
			switch {
			case said == 0 && strings.Contains(what, "is not ready yet"):
				said = time.Since(begun)
			case what == "www-web-1 failed":
				ended = time.Since(begun)
			}
		}
		_, err := s.run(t.Context(), t)
		if err == nil || !strings.Contains(err.Error(), "is not ready after 10m0s") {
			t.Errorf("error %v", err)
		}
		if ended < 10*time.Minute || ended > 11*time.Minute {
			t.Errorf("two volumes were given up after %s, want ten minutes", ended)
		}
		if said < 10*time.Second || said > 20*time.Second {
			t.Errorf("what it waits for was said after %s: %q", said, s.did)
		}
		if !slices.Contains(s.did, "www-web-0 failed") {
			t.Errorf("did %q", s.did)
		}
	})
}
