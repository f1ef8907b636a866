package restore

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// TestPlanPairsOrdinals: every ordinal gets its own data, whatever the order of the record.
func TestPlanPairsOrdinals(t *testing.T) {
	s := situation()
	slices.Reverse(s.Record.Volumes)
	var got []string
	for _, v := range NewPlan(*s, PlanOptions{}).Volumes {
		got = append(got, fmt.Sprintf("%d %s<-%s %s", v.Ordinal, v.Claim, v.RepositorySnapshot, v.Present.Volume))
	}
	want := []string{"0 www-web-0<-rs-0 pv-0", "1 www-web-1<-rs-1 pv-1", "2 www-web-2<-rs-2 pv-2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
}

func TestPlanReplicas(t *testing.T) {
	tests := []struct{ present, before, after, volumes int32 }{{3, 3, 3, 3}, {2, 2, 2, 2}, {0, 0, 3, 3}}
	for _, test := range tests {
		s := situation()
		*s.StatefulSet.Spec.Replicas = test.present
		plan := NewPlan(*s, PlanOptions{})
		if plan.ReplicasBefore != test.before || plan.ReplicasAfter != test.after || len(plan.Volumes) != int(test.volumes) {
			t.Errorf("%d replicas: before %d, after %d, %d volumes", test.present, plan.ReplicasBefore, plan.ReplicasAfter, len(plan.Volumes))
		}
	}
}

// TestPlanClaim: size and class of the new claim.
func TestPlanClaim(t *testing.T) {
	tests := map[string]struct {
		change func(*Situation)
		size   string
		class  string
	}{
		"as the template has it": {func(*Situation) {}, "64Mi", "fast"},
		"it was larger":          {func(s *Situation) { s.Record.Volumes[0].Size = 1 << 30 }, "1Gi", "fast"},
		"it was smaller":         {func(s *Situation) { s.Record.Volumes[0].Size = 1 << 20 }, "64Mi", "fast"},
		"it has grown since": {func(s *Situation) {
			s.Claims[0].Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("2Gi")
		}, "2Gi", "fast"},
		"the template names no class": {func(s *Situation) {
			s.StatefulSet.Spec.VolumeClaimTemplates[0].Spec.StorageClassName = nil
			s.Classes = append(s.Classes, storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "recorded"}, Provisioner: "csi.test"})
			s.Record.Volumes[0].StorageClass = "recorded"
		}, "64Mi", "recorded"},
		"nobody names a class": {func(s *Situation) {
			s.StatefulSet.Spec.VolumeClaimTemplates[0].Spec.StorageClassName = nil
			s.Record.Volumes[0].StorageClass = ""
			s.Classes[0].Annotations = map[string]string{cluster.DefaultClassMark: "true"}
		}, "64Mi", "fast"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := situation()
			test.change(s)
			claim := NewPlan(*s, PlanOptions{}).Volumes[0].manifest
			request := claim.Spec.Resources.Requests[corev1.ResourceStorage]
			if request.String() != test.size || *claim.Spec.StorageClassName != test.class {
				t.Errorf("%s of class %s, want %s of class %s", request.String(), *claim.Spec.StorageClassName, test.size, test.class)
			}
		})
	}
}

// TestPlanClaimIsAsTheControllersOwn: the claim is what the StatefulSet controller would have made, but empty.
func TestPlanClaimIsAsTheControllersOwn(t *testing.T) {
	s := situation()
	template := &s.StatefulSet.Spec.VolumeClaimTemplates[0]
	template.Labels = map[string]string{"tier": "db", "app": "overlaid"}
	template.Annotations = map[string]string{"note": "x"}
	template.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: "golden"}
	mode := corev1.PersistentVolumeFilesystem
	template.Spec.VolumeMode = &mode
	got := NewPlan(*s, PlanOptions{}).Volumes[1].manifest
	class := "fast"
	want := corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name: "www-web-1", Namespace: ns, Labels: map[string]string{"tier": "db", "app": "web"},
			Annotations: map[string]string{"note": "x", annotationPoint: string(s.Record.ID)},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: &class, VolumeMode: &mode,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("64Mi")}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
}

// TestPlanPresent: what exists now, and what happens to it.
func TestPlanPresent(t *testing.T) {
	tests := map[string]struct {
		change func(*Situation)
		want   PresentState
	}{
		"bound":                 {func(*Situation) {}, PresentBound},
		"missing":               {func(s *Situation) { s.Claims = s.Claims[1:] }, PresentMissing},
		"no volume yet":         {func(s *Situation) { s.Claims[0].Spec.VolumeName = "" }, PresentUnbound},
		"volume gone":           {func(s *Situation) { s.Volumes = s.Volumes[1:] }, PresentLost},
		"volume of another one": {func(s *Situation) { s.Volumes[0].Spec.ClaimRef.UID = "of another" }, PresentLost},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := situation()
			test.change(s)
			plan := NewPlan(*s, PlanOptions{})
			v := plan.Volumes[0]
			if v.Present.State != test.want || v.Present.Fate == "" {
				t.Errorf("got %+v, want %s", v.Present, test.want)
			}
			if keeps := v.displaced != nil && v.displaced.Volume != ""; keeps != (test.want == PresentBound) {
				t.Errorf("a volume is set aside: %v", keeps)
			}
			if err := plan.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPlanSpares: the plan pairs volumes that no provisioner makes with ordinals.
func TestPlanSpares(t *testing.T) {
	onNode := func(node string) func(*corev1.PersistentVolume) {
		return func(v *corev1.PersistentVolume) {
			v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
				{
					MatchExpressions: []corev1.NodeSelectorRequirement{
						{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}},
					},
				},
			}}}
		}
	}
	s := situation()
	s.manual()
	s.Claims, s.Volumes = s.Claims[1:2], s.Volumes[1:2]
	onNode("node-b")(&s.Volumes[0])     // ordinal 1 lies there now
	s.Record.Volumes[0].Node = "node-a" // ordinal 0 ran there
	s.spare("a-small", "64Mi", onNode("node-a"))
	s.spare("a-large", "1Gi", onNode("node-a"))
	s.spare("b", "1Gi", onNode("node-b"))
	s.spare("c", "64Mi", onNode("node-c"), func(v *corev1.PersistentVolume) {
		v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: ns, Name: "www-web-2"}
	})
	plan := NewPlan(*s, PlanOptions{})
	if err := plan.Err(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range plan.Volumes {
		got = append(got, v.Claim+" "+v.Spare+" "+v.manifest.Spec.VolumeName)
	}
	want := []string{"www-web-0 a-small a-small", "www-web-1 b b", "www-web-2 c c"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spares (-want +got):\n%s", diff)
	}
}
