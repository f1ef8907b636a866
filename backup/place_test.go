package backup

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/method"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// tiedTo ties the volume of ordinal 0 to the nodes that a label names.
func tiedTo(inventory *Inventory, label string, values ...string) {
	inventory.Volumes["pv-www-web-0"].Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: label, Operator: corev1.NodeSelectorOpIn, Values: values},
		}}},
	}}
}

// TestMoverTolerates: if only one node can have the volume, the mover goes there, even if the node keeps new pods away,
// while it is healthy.
func TestMoverTolerates(t *testing.T) {
	const cordoned = corev1.TaintNodeUnschedulable
	taint := func(key string, effect corev1.TaintEffect) corev1.Taint {
		return corev1.Taint{Key: key, Effect: effect}
	}
	taints := []corev1.Taint{
		taint(cordoned, corev1.TaintEffectNoSchedule),
		taint("maintenance", corev1.TaintEffectNoSchedule),
		taint("soft", corev1.TaintEffectPreferNoSchedule),
		taint("leave", corev1.TaintEffectNoExecute),
		taint(corev1.TaintNodeNotReady, corev1.TaintEffectNoSchedule),
		taint("node.cloudprovider.kubernetes.io/shutdown", corev1.TaintEffectNoSchedule),
	}
	live := capture.Options{Method: method.Live}
	auto := capture.Options{Method: method.Auto}
	for name, tt := range map[string]struct {
		change  func(*Inventory)
		options capture.Options
		want    []string
	}{
		"live, beside its pod": {options: live, want: []string{cordoned, "maintenance"}},
		"live, of a node that may not be read": {
			change: func(i *Inventory) { i.Nodes = nil }, options: live, want: []string{cordoned},
		},
		"live, shared between nodes": {
			change: func(i *Inventory) {
				i.Claims["www-web-0"].Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
			},
			options: live,
		},
		"live, without a pod": {change: func(i *Inventory) { delete(i.Pods, "web-0") }, options: live},
		"live, without a pod, on the disk of a node": {
			change: func(i *Inventory) { delete(i.Pods, "web-0"); tiedTo(i, corev1.LabelHostname, "n9") }, options: live,
			want: []string{cordoned},
		},
		"snapshot": {options: auto},
		"snapshot, of storage in a zone": {
			change: func(i *Inventory) { tiedTo(i, corev1.LabelTopologyZone, "a") }, options: auto,
		},
		"snapshot, of storage on some nodes": {
			change: func(i *Inventory) { tiedTo(i, corev1.LabelHostname, "n1", "n2") }, options: auto,
		},
		"snapshot, of the disk of a node": {
			change: func(i *Inventory) { tiedTo(i, "topology.disk.csi.test/node", "n1") }, options: auto,
			want: []string{cordoned, "maintenance"},
		},
		"snapshot, of the disk of a host": {
			change: func(i *Inventory) { tiedTo(i, "topology.disk.csi.test/host", "host-1") }, options: auto,
			want: []string{cordoned, "maintenance"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inventory := testInventory()
			inventory.Nodes["n1"] = capture.Node{Host: "host-1", Taints: taints}
			if tt.change != nil {
				tt.change(inventory)
			}
			plan := NewPlan(inventory, tt.options)
			if err := plan.Err(); err != nil {
				t.Fatal(err)
			}
			var added []string
			for _, toleration := range plan.Volumes[0].choice.Placement.Tolerations {
				if toleration.Key == "db" {
					continue // the pod tolerates it itself
				}
				added = append(added, toleration.Key)
				if toleration.Operator != corev1.TolerationOpExists || toleration.Effect != corev1.TaintEffectNoSchedule {
					t.Errorf("toleration %+v", toleration)
				}
			}
			if diff := cmp.Diff(tt.want, added); diff != "" {
				t.Errorf("tolerated beyond what the pod tolerates (-want +got):\n%s", diff)
			}
			own := inventory.Pods["web-0"] != nil && plan.Volumes[0].Capture == catalog.CaptureLive
			if has := slices.ContainsFunc(
				plan.Volumes[0].choice.Placement.Tolerations,
				func(to corev1.Toleration) bool { return to.Key == "db" },
			); has != own {
				t.Errorf("it has the tolerations of the pod: %t", has)
			}
			if pod := inventory.Pods["web-1"]; len(pod.Spec.Tolerations) != 1 {
				t.Errorf("the pod's own tolerations were changed: %+v", pod.Spec.Tolerations)
			}
		})
	}
}
