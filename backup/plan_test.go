package backup

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/method"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

const testDriver = "disk.csi.test"

// testInventory is a StatefulSet demo/web of two ordinals, each with a bound claim on a CSI volume, that run on node n1
// in zone a.
func testInventory() *Inventory {
	inventory := &Inventory{
		Cluster: "cluster-uid",
		StatefulSet: &appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web", UID: "sts-uid"},
			Spec: appsv1.StatefulSetSpec{
				Replicas:             new(int32(2)),
				VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "www"}}},
			},
		},
		Pods:    map[string]*corev1.Pod{},
		Claims:  map[string]*corev1.PersistentVolumeClaim{},
		Volumes: map[string]*corev1.PersistentVolume{},
		Classes: []snapshotv1.VolumeSnapshotClass{{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Driver: testDriver}},
		Nodes:   map[string]capture.Node{"n1": {Zone: "a"}},
		StorageClasses: []storagev1.StorageClass{
			{ObjectMeta: metav1.ObjectMeta{Name: "disk"}, Provisioner: testDriver},
			{ObjectMeta: metav1.ObjectMeta{Name: "manual"}, Provisioner: cluster.NoProvisioner},
		},
	}
	for _, ordinal := range []string{"0", "1"} {
		addClaim(inventory, "www-web-"+ordinal)
		inventory.Pods["web-"+ordinal] = &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web-" + ordinal},
			Spec:       corev1.PodSpec{NodeName: "n1", Tolerations: []corev1.Toleration{{Key: "db"}}},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning},
		}
	}
	return inventory
}

func addClaim(inventory *Inventory, name string) {
	inventory.Claims[name] = &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			VolumeName: "pv-" + name, StorageClassName: new("disk"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		},
	}
	inventory.Volumes["pv-"+name] = &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv-" + name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: testDriver}},
		},
	}
}

// static turns a claim's volume into a host path.
func static(inventory *Inventory, claim string) {
	inventory.Volumes["pv-"+claim].Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{
		HostPath: &corev1.HostPathVolumeSource{Path: "/data"},
	}
}

func TestNewPlanSnapshot(t *testing.T) {
	plan := NewPlan(testInventory(), capture.Options{Method: method.Auto})
	if err := plan.Err(); err != nil {
		t.Fatal(err)
	}
	volume := func(ordinal int32, claim string) Volume {
		return Volume{
			Ordinal: ordinal, Template: "www", Claim: claim, Capture: catalog.CaptureSnapshot,
			Why: "CSI driver disk.csi.test has VolumeSnapshotClass fast", SnapshotClass: "fast", Driver: testDriver,
			Node: "n1", Zone: "a", Size: 1 << 30,
		}
	}
	want := &Plan{
		Namespace: "demo", StatefulSet: "web", Cluster: "cluster-uid",
		Volumes: []Volume{volume(0, "www-web-0"), volume(1, "www-web-1")},
	}
	if diff := cmp.Diff(want, plan, cmpopts.IgnoreUnexported(Volume{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNewPlanCapture checks how ordinal 0 is captured.
func TestNewPlanCapture(t *testing.T) {
	other := snapshotv1.VolumeSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Driver: "other.csi.test"}
	for name, tt := range map[string]struct {
		change  func(*Inventory)
		options capture.Options
		capture catalog.Capture
		class   string
		why     string // part of it
		node    string // where the mover must run
	}{
		"live on request": {
			options: capture.Options{Method: method.Live},
			capture: catalog.CaptureLive, why: "--method live", node: "n1",
		},
		"static volume": {
			change: func(i *Inventory) { static(i, "www-web-0") }, options: capture.Options{Method: method.Auto},
			capture: catalog.CaptureLive, why: "kubernetes.io/host-path has no VolumeSnapshots", node: "n1",
		},
		"driver without a class": {
			change: func(i *Inventory) { i.Classes = nil }, options: capture.Options{Method: method.Auto},
			capture: catalog.CaptureLive, why: "no VolumeSnapshotClass for CSI driver disk.csi.test", node: "n1",
		},
		"classes that may not be read": {
			change: func(i *Inventory) { i.Classes, i.ClassesHidden = nil, true }, options: capture.Options{Method: method.Auto},
			capture: catalog.CaptureLive, why: "the right to list VolumeSnapshotClasses is missing", node: "n1",
		},
		"a class by its name, where they may not be read": {
			change:  func(i *Inventory) { i.Classes, i.ClassesHidden = nil, true },
			options: capture.Options{Method: method.Snapshot, SnapshotClass: "fast"},
			capture: catalog.CaptureSnapshot, class: "fast", why: "--snapshot-class",
		},
		"no StorageClass to make a claim of": {
			change: func(i *Inventory) { i.Claims["www-web-0"].Spec.StorageClassName = new("") }, options: capture.Options{Method: method.Auto},
			capture: catalog.CaptureLive, why: "it has no StorageClass, so that no claim can be made from a VolumeSnapshot", node: "n1",
		},
		"a StorageClass that is gone": {
			change:  func(i *Inventory) { i.StorageClasses = i.StorageClasses[1:] },
			options: capture.Options{Method: method.Auto, SnapshotClass: "fast"},
			capture: catalog.CaptureLive, why: "its StorageClass disk does not exist any more", node: "n1",
		},
		"a StorageClass for volumes that are made by hand": {
			change:  func(i *Inventory) { i.Claims["www-web-0"].Spec.StorageClassName = new("manual") },
			options: capture.Options{Method: method.Auto},
			capture: catalog.CaptureLive, why: "its StorageClass manual is not of CSI driver disk.csi.test but of kubernetes.io/no-provisioner",
			node: "n1",
		},
		"StorageClasses that may not be read": {
			change: func(i *Inventory) { i.StorageClasses, i.StorageClassesHidden = nil, true }, options: capture.Options{Method: method.Auto},
			capture: catalog.CaptureSnapshot, class: "fast", why: "fast",
		},
		"class of another driver": {
			change:  func(i *Inventory) { i.Classes = append(i.Classes, other) },
			options: capture.Options{Method: method.Auto, SnapshotClass: "other"},
			capture: catalog.CaptureSnapshot, class: "fast", why: "VolumeSnapshotClass fast",
		},
		"live without a pod": {
			change: func(i *Inventory) { delete(i.Pods, "web-0") }, options: capture.Options{Method: method.Live},
			capture: catalog.CaptureLive, why: "--method live",
		},
		"live, shared between nodes": {
			change: func(i *Inventory) {
				i.Claims["www-web-0"].Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
			},
			options: capture.Options{Method: method.Live}, capture: catalog.CaptureLive, why: "--method live",
		},
		"ReadWriteOncePod by snapshot": {
			change: func(i *Inventory) {
				i.Claims["www-web-0"].Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
			},
			options: capture.Options{Method: method.Auto}, capture: catalog.CaptureSnapshot, class: "fast", why: "fast",
		},
		"ReadWriteOncePod without a pod": {
			change: func(i *Inventory) {
				delete(i.Pods, "web-0")
				i.Claims["www-web-0"].Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
			},
			options: capture.Options{Method: method.Live}, capture: catalog.CaptureLive, why: "--method live",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inventory := testInventory()
			if tt.change != nil {
				tt.change(inventory)
			}
			plan := NewPlan(inventory, tt.options)
			if err := plan.Err(); err != nil {
				t.Fatal(err)
			}
			got := plan.Volumes[0]
			if got.Capture != tt.capture || got.SnapshotClass != tt.class || !strings.Contains(got.Why, tt.why) ||
				got.choice.Placement.Node != tt.node {
				t.Errorf("got %s with class %q on node %q because %q, want %s with %q on %q because %q",
					got.Capture, got.SnapshotClass, got.choice.Placement.Node, got.Why, tt.capture, tt.class, tt.node, tt.why)
			}
		})
	}
}

func TestNewPlanRefuses(t *testing.T) {
	block := corev1.PersistentVolumeBlock
	for name, tt := range map[string]struct {
		change  func(*Inventory)
		options capture.Options
		object  string
		says    []string
	}{
		"no claim templates": {
			change: func(i *Inventory) {
				i.StatefulSet.Spec.VolumeClaimTemplates = nil
				i.StatefulSet.Spec.Template.Spec.Volumes = []corev1.Volume{
					{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				}
			},
			object: "StatefulSet demo/web",
			says:   []string{"no volumeClaimTemplates", "containers", "dies with the pod", "volume data of the pods (emptyDir)", "dump the data"},
		},
		"no replicas": {
			change: func(i *Inventory) { i.StatefulSet.Spec.Replicas = new(int32(0)) },
			object: "StatefulSet demo/web",
			says:   []string{"0 replicas", "kubectl -n demo scale statefulset web", "www-web-0, www-web-1"},
		},
		"no claims": {
			change: func(i *Inventory) { clear(i.Claims) },
			object: "StatefulSet demo/web", says: []string{"none of its claims has a volume", "www-web-0"},
		},
		"block volume": {
			change: func(i *Inventory) { i.Claims["www-web-1"].Spec.VolumeMode = &block },
			object: "claim demo/www-web-1", says: []string{"raw block device"},
		},
		"ReadWriteOncePod live": {
			change: func(i *Inventory) {
				i.Claims["www-web-0"].Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
			},
			options: capture.Options{Method: method.Live},
			object:  "claim demo/www-web-0", says: []string{"ReadWriteOncePod", "pod web-0", "--method snapshot"},
		},
		"snapshot of a static volume": {
			change:  func(i *Inventory) { static(i, "www-web-1") },
			options: capture.Options{Method: method.Snapshot},
			object:  "claim demo/www-web-1", says: []string{"kubernetes.io/host-path", "--method live"},
		},
		"snapshot without a class": {
			change:  func(i *Inventory) { i.Classes = nil },
			options: capture.Options{Method: method.Snapshot},
			object:  "claim demo/www-web-0", says: []string{testDriver, "create a VolumeSnapshotClass", "--method live"},
		},
		"classes that may not be read": {
			change:  func(i *Inventory) { i.Classes, i.ClassesHidden = nil, true },
			options: capture.Options{Method: method.Snapshot},
			object:  "claim demo/www-web-0", says: []string{"right to list VolumeSnapshotClasses", "--snapshot-class"},
		},
		"snapshot, and no StorageClass to read it by": {
			change:  func(i *Inventory) { i.Claims["www-web-1"].Spec.StorageClassName = new("manual") },
			options: capture.Options{Method: method.Snapshot},
			object:  "claim demo/www-web-1", says: []string{"its StorageClass manual is not of CSI driver", "with driver disk.csi.test as its " +
				"provisioner", "--method live"},
		},
		"ReadWriteOncePod, and no StorageClass": {
			change: func(i *Inventory) {
				i.Claims["www-web-0"].Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
				i.StorageClasses = nil
			},
			object: "claim demo/www-web-0", says: []string{
				"ReadWriteOncePod", "mend what keeps it from being captured", "StorageClass disk does not exist",
			},
		},
		"a class that does not exist": {
			options: capture.Options{Method: method.Auto, SnapshotClass: "slow"},
			object:  "StatefulSet demo/web", says: []string{"no VolumeSnapshotClass called slow", "fast"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inventory := testInventory()
			if tt.change != nil {
				tt.change(inventory)
			}
			if tt.options.Method == "" {
				tt.options.Method = method.Auto
			}
			err := NewPlan(inventory, tt.options).Err()
			var refusal *cluster.Refusal
			if !errors.As(err, &refusal) {
				t.Fatalf("error %v, want a refusal", err)
			}
			if refusal.Object != tt.object || refusal.Next == "" {
				t.Errorf("refusal %+v, want one about %s with a next step", refusal, tt.object)
			}
			for _, part := range tt.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

// TestNewPlanFindsAllRefusals: one refusal does not hide the next, and neither does a missing claim.
func TestNewPlanFindsAllRefusals(t *testing.T) {
	inventory := testInventory()
	delete(inventory.Claims, "www-web-0")
	static(inventory, "www-web-1")
	inventory.Claims["www-web-1"].Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
	plan := NewPlan(inventory, capture.Options{Method: method.Auto, SnapshotClass: "slow"})
	err := plan.Err()
	var refusal *cluster.Refusal
	if len(plan.Refusals) != 2 || !errors.As(err, &refusal) {
		t.Fatalf("refusals %q, error %v", plan.Refusals, err)
	}
	for _, part := range []string{"no VolumeSnapshotClass called slow", "claim demo/www-web-1: its access mode is ReadWriteOncePod"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestNewPlanLeavesNothingOutSilently(t *testing.T) {
	inventory := testInventory()
	inventory.StatefulSet.Spec.Replicas = new(int32(4))
	inventory.StatefulSet.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: 1}
	addClaim(inventory, "www-web-3")
	inventory.Claims["www-web-3"].Spec.VolumeName = ""
	addClaim(inventory, "www-web-4")
	delete(inventory.Volumes, "pv-www-web-4")
	addClaim(inventory, "www-web-11")
	addClaim(inventory, "www-webshop-0")
	inventory.StatefulSet.Spec.Template.Spec.Volumes = []corev1.Volume{
		{Name: "www", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}, // the claim replaces it
		{Name: "cache", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "logs", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/log"}}},
		{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
		{Name: "shared", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "files"}}},
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
		{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}},
		{Name: "certs", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{}}},
	}
	plan := NewPlan(inventory, capture.Options{Method: method.Auto})
	if err := plan.Err(); err != nil {
		t.Fatal(err)
	}
	var missing []string
	for _, volume := range plan.Volumes {
		missing = append(missing, volume.Claim+": "+volume.Missing)
	}
	if diff := cmp.Diff([]string{
		"www-web-1: ",
		"www-web-2: the claim does not exist",
		"www-web-3: the claim is not bound: it has no volume yet",
		"www-web-4: the claim's volume pv-www-web-4 does not exist any more",
	}, missing); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
	var out []string
	for _, left := range plan.LeftOut {
		out = append(out, left.What+": "+left.Why)
	}
	if diff := cmp.Diff([]string{
		"volume cache of the pods (emptyDir): it dies with its pod",
		"volume logs of the pods (hostPath /var/log): it belongs to the node",
		"volume scratch of the pods (ephemeral claim): it dies with its pod",
		"volume shared of the pods (claim files): all pods share it: it belongs to no ordinal",
		"claim www-web-0: the StatefulSet has no ordinal 0 (replicas: 4)",
		"claim www-web-11: the StatefulSet has no ordinal 11 (replicas: 4)",
	}, out); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
}

func TestSnapshotMoverStaysNearTheVolume(t *testing.T) {
	inventory := testInventory()
	zone := &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone"}}}},
	}
	inventory.Volumes["pv-www-web-0"].Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: zone}
	plan := NewPlan(inventory, capture.Options{Method: method.Auto})
	if err := plan.Err(); err != nil {
		t.Fatal(err)
	}
	placement := plan.Volumes[0].choice.Placement
	if placement.Affinity == nil || placement.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != zone {
		t.Errorf("placement %+v, want the volume's own node affinity", placement)
	}
	if plan.Volumes[1].choice.Placement.Affinity != nil {
		t.Errorf("placement %+v of a volume that can be anywhere", plan.Volumes[1].choice.Placement)
	}
}
