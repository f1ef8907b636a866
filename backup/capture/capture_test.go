package capture

import (
	"slices"
	"strings"
	"testing"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/method"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

const driver = "disk.csi.test"

// facts are the Facts about a StatefulSet demo/web in a cluster whose driver has a class.
func facts() *Facts {
	return &Facts{
		StatefulSet:    &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web"}},
		Classes:        []snapshotv1.VolumeSnapshotClass{{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Driver: driver}},
		StorageClasses: []storagev1.StorageClass{{ObjectMeta: metav1.ObjectMeta{Name: "disk"}, Provisioner: driver}},
	}
}

// volume is a volume of that driver, whose pod runs.
func volume(ordinal int32) Volume {
	claim := cluster.ClaimName("www", "web", ordinal)
	return Volume{
		Ordinal: ordinal, Template: "www",
		Claim: &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: claim},
			Spec:       corev1.PersistentVolumeClaimSpec{StorageClassName: new("disk")},
		},
		Volume: &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver}},
		}},
		Pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: cluster.PodName("web", ordinal)}, Spec: corev1.PodSpec{NodeName: "n1"},
			Status: corev1.PodStatus{Phase: corev1.PodRunning},
		},
	}
}

// exclusive keeps movers from mounting the claim beside its pod.
func exclusive(v Volume) Volume {
	v.Claim.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
	return v
}

// static turns the volume into one without VolumeSnapshots.
func static(v Volume) Volume {
	v.Volume.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{}}
	return v
}

// TestEveryMethodHasAWay: every method that a user can ask for has a Way, and there is no other Way.
func TestEveryMethodHasAWay(t *testing.T) {
	var asked, ways []string
	for _, name := range method.Names() {
		if method.Method(name) != method.Auto {
			asked = append(asked, name)
		}
	}
	for _, way := range Ways() {
		ways = append(ways, string(way.Capture()))
		if got, err := wayOf(way.Capture()); err != nil || got != way {
			t.Errorf("%s: %v, %v", way.Capture(), got, err)
		}
	}
	if !slices.Equal(asked, ways) {
		t.Errorf("methods %q, ways %q", asked, ways)
	}
	if way, err := wayOf("group"); err == nil {
		t.Errorf("a way that nobody knows: %v", way)
	}
}

// TestCheckFindsAllRefusals: Check finds all refusals, each once.
func TestCheckFindsAllRefusals(t *testing.T) {
	block := volume(1)
	block.Claim.Spec.VolumeMode = new(corev1.PersistentVolumeBlock)
	for name, tt := range map[string]struct {
		options Options
		volumes []Volume
		want    []string
	}{
		"nothing": {options: Options{Method: method.Auto}, volumes: []Volume{volume(0), volume(1)}},
		"a class, and a volume": {
			Options{Method: method.Snapshot, SnapshotClass: "slow"}, []Volume{volume(0), block},
			[]string{"called slow", "www-web-1: it is a raw block"},
		},
		"two volumes": {
			Options{Method: method.Snapshot}, []Volume{static(volume(0)), static(volume(1))},
			[]string{"www-web-0: its volume comes from driver", "www-web-1: its volume comes from driver"},
		},
		"each for its own": {
			Options{Method: method.Auto}, []Volume{exclusive(static(volume(0))), block},
			[]string{"www-web-0: its access mode", "www-web-1: it is a raw block"},
		},
		"the class is said once": {
			Options{Method: method.Auto, SnapshotClass: "slow"}, []Volume{volume(0), volume(1)}, []string{"use one of fast"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			choices, refusals := Check(facts(), tt.volumes, tt.options)
			if len(choices) != len(tt.volumes) || len(refusals) != len(tt.want) {
				t.Fatalf("%d choices, refusals %q", len(choices), refusals)
			}
			for i, want := range tt.want {
				if text := refusals[i].Error(); !strings.Contains(text, want) || refusals[i].Next == "" {
					t.Errorf("%q does not say %q", text, want)
				}
			}
		})
	}
}

// TestCheckChoosesForEach: Check chooses the best Way for each volume of a StatefulSet.
func TestCheckChoosesForEach(t *testing.T) {
	choices, refusals := Check(facts(), []Volume{volume(0), static(volume(1)), exclusive(volume(2))}, Options{Method: method.Auto})
	if len(refusals) > 0 {
		t.Fatalf("refusals %q", refusals)
	}
	for i, want := range []catalog.Capture{catalog.CaptureSnapshot, catalog.CaptureLive, catalog.CaptureSnapshot} {
		if choices[i].Capture != want || choices[i].Why == "" {
			t.Errorf("volume %d: %+v, want %s", i, choices[i], want)
		}
	}
	op := cluster.Operation{ID: "20261121T081200Z-3fa91c07", Namespace: "demo", StatefulSet: "web"}
	for i, want := range []struct {
		claim string
		made  int
	}{{op.VolumeName(0, "www"), 2}, {"www-web-1", 0}} {
		v := []Volume{volume(0), static(volume(1))}[i]
		if source, made, err := Makes(op, &v, &choices[i]); err != nil || source.Claim != want.claim || len(made) != want.made {
			t.Errorf("volume %d is read from claim %s, which takes %d objects, %v", i, source.Claim, len(made), err)
		}
	}
}

// TestCheckWithoutAMethod: without a method, Check decides for each volume.
func TestCheckWithoutAMethod(t *testing.T) {
	choices, refusals := Check(facts(), []Volume{volume(0), static(volume(1))}, Options{SnapshotClass: "fast"})
	if len(refusals) > 0 || choices[0].Capture != catalog.CaptureSnapshot || choices[1].Capture != catalog.CaptureLive {
		t.Errorf("%+v, refused %v", choices, refusals)
	}
}
