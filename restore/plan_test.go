package restore

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// situation is demo/web with three ordinals, bound claims and running pods, and a complete recovery point of it.
func situation() *Situation {
	s := &Situation{
		Record: newRecord(), Cluster: "here", StatefulSet: newSet(3, "fast"),
		Classes: []storagev1.StorageClass{
			{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: "csi.test"},
			{ObjectMeta: metav1.ObjectMeta{Name: "manual"}, Provisioner: cluster.NoProvisioner},
		},
	}
	s.StatefulSet.UID = "set"
	for ordinal := range int32(3) {
		name := cluster.ClaimName("www", "web", ordinal)
		claim := corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns}}
		claim.UID = types.UID("uid of " + name)
		claim.Spec = *s.StatefulSet.Spec.VolumeClaimTemplates[0].Spec.DeepCopy()
		claim.Spec.VolumeName = fmt.Sprintf("pv-%d", ordinal)
		claim.Status.Phase = corev1.ClaimBound
		s.Claims = append(s.Claims, claim)
		volume := newVolume(claim.Spec.VolumeName, "fast", "Delete")
		volume.Spec.ClaimRef = &corev1.ObjectReference{Namespace: ns, Name: name, UID: claim.UID}
		volume.Status.Phase = corev1.VolumeBound
		s.Volumes = append(s.Volumes, *volume)
		pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: cluster.PodName("web", ordinal), Namespace: ns}}
		pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(s.StatefulSet, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))}
		pod.Spec.Volumes = []corev1.Volume{mount(name)}
		s.Pods = append(s.Pods, pod)
	}
	return s
}

func mount(claim string) corev1.Volume {
	return corev1.Volume{
		Name:         "v",
		VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}},
	}
}

// spare adds an Available volume of class manual.
func (s *Situation) spare(name, size string, change ...func(*corev1.PersistentVolume)) {
	volume := newVolume(name, "manual", "Retain")
	volume.Spec.Capacity[corev1.ResourceStorage] = resource.MustParse(size)
	for _, c := range change {
		c(volume)
	}
	s.Volumes = append(s.Volumes, *volume)
}

// manual gives the StatefulSet volumes that no provisioner makes.
func (s *Situation) manual() {
	*s.StatefulSet.Spec.VolumeClaimTemplates[0].Spec.StorageClassName = "manual"
}

func deleting() *metav1.Time {
	now := metav1.Now()
	return &now
}

// TestPlanRefuses: the plan refuses each thing that prevents a restore, about the right object, with a next step.
func TestPlanRefuses(t *testing.T) {
	block := corev1.PersistentVolumeBlock
	tests := map[string]struct {
		change func(*Situation)
		object string
		texts  []string
	}{
		"an operator owns it": {func(s *Situation) {
			yes := true
			s.StatefulSet.OwnerReferences = []metav1.OwnerReference{{Kind: "Redis", Name: "cache", Controller: &yes}}
		}, "StatefulSet demo/web", []string{"Redis cache", "stop that operator"}},
		"an autoscaler scales it": {func(s *Situation) {
			hpa := autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "load"}}
			hpa.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{Kind: "StatefulSet", Name: "web"}
			s.Autoscalers = append(s.Autoscalers, hpa)
		}, "StatefulSet demo/web", []string{"HorizontalPodAutoscaler load", "delete hpa load"}},
		"it is being deleted": {func(s *Situation) { s.StatefulSet.DeletionTimestamp = deleting() },
			"StatefulSet demo/web", []string{"being deleted"}},
		"no claim templates": {func(s *Situation) { s.StatefulSet.Spec.VolumeClaimTemplates = nil },
			"StatefulSet demo/web", []string{"no volumeClaimTemplates"}},
		"more replicas than the recovery point has": {func(s *Situation) { *s.StatefulSet.Spec.Replicas = 5 },
			"StatefulSet demo/web", []string{"holds nothing for www-web-3, www-web-4", "--replicas=3"}},
		"other ordinals": {func(s *Situation) { s.StatefulSet.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: 1} },
			"StatefulSet demo/web", []string{"holds nothing for www-web-3", "choose another recovery point"}},
		"a claim template that was not backed up": {func(s *Situation) {
			more := *s.StatefulSet.Spec.VolumeClaimTemplates[0].DeepCopy()
			more.Name = "logs"
			s.StatefulSet.Spec.VolumeClaimTemplates = append(s.StatefulSet.Spec.VolumeClaimTemplates, more)
		}, "StatefulSet demo/web", []string{"holds nothing for logs-web-0, logs-web-1, logs-web-2"}},
		"an ordinal that failed": {func(s *Situation) {
			s.Record.State = catalog.StateIncomplete
			s.Record.Volumes[1].RepositorySnapshot, s.Record.Volumes[1].Error = "", "the disk was on fire"
		}, "StatefulSet demo/web", []string{"incomplete", "www-web-1 (the disk was on fire)", "stsbackup list demo/web"}},
		"a block volume in the record": {func(s *Situation) { s.Record.Volumes[2].Mode = "Block" },
			"claim demo/www-web-2", []string{"block volume"}},
		"a block volume in the template": {func(s *Situation) { s.StatefulSet.Spec.VolumeClaimTemplates[0].Spec.VolumeMode = &block },
			"claim demo/www-web-0", []string{"block volume"}},
		"the template's class does not exist": {func(s *Situation) { *s.StatefulSet.Spec.VolumeClaimTemplates[0].Spec.StorageClassName = "gone" },
			"StorageClass gone", []string{"claim template www", "create a StorageClass gone"}},
		"the recorded class does not exist": {func(s *Situation) {
			s.StatefulSet.Spec.VolumeClaimTemplates[0].Spec.StorageClassName = nil
			s.Record.Volumes[0].StorageClass = "old"
		}, "StorageClass old", []string{"the recovery point"}},
		"no default class": {func(s *Situation) {
			s.StatefulSet.Spec.VolumeClaimTemplates[0].Spec.StorageClassName = nil
			s.Record.Volumes[0].StorageClass = ""
		}, "claim demo/www-web-0", []string{"no default", "is-default-class=true"}},
		"a pod of somebody else's with one of its names": {func(s *Situation) { s.Pods[1].OwnerReferences = nil },
			"pod demo/web-1", []string{"not the StatefulSet's", "delete pod web-1"}},
		"a pod of somebody else's that uses a claim": {func(s *Situation) {
			pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "debug", Namespace: ns}}
			pod.Spec.Volumes = []corev1.Volume{mount("www-web-2")}
			s.Pods = append(s.Pods, pod)
		}, "pod demo/debug", []string{"uses claim www-web-2", "delete pod debug"}},
		"a claim that is going with its data": {func(s *Situation) { s.Claims[0].DeletionTimestamp = deleting() },
			"claim demo/www-web-0", []string{"volume pv-0 and the data on it vanish", "kubectl patch pv pv-0"}},
		"a claim that is going without its data": {func(s *Situation) {
			s.Claims[0].DeletionTimestamp = deleting()
			s.Volumes[0].Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
		}, "claim demo/www-web-0", []string{"not gone yet", "wait"}},
		"a volume that is going": {func(s *Situation) { s.Volumes[1].DeletionTimestamp = deleting() },
			"claim demo/www-web-1", []string{"deleted its volume pv-1", "--method live"}},
		"a claim that is being bound": {func(s *Situation) { s.Volumes[1].Spec.ClaimRef.UID = "" },
			"claim demo/www-web-1", []string{"being bound to volume pv-1"}},
		"a quota on the number of claims": {func(s *Situation) {
			s.Claims = s.Claims[:1]
			s.Quotas = []corev1.ResourceQuota{quota("persistentvolumeclaims", "2", "1")}
		}, "ResourceQuota demo/limits", []string{"persistentvolumeclaims to 3", "allows 2"}},
		"a quota on storage": {func(s *Situation) {
			for i := range s.Record.Volumes {
				s.Record.Volumes[i].Size = 1 << 30
			}
			s.Quotas = []corev1.ResourceQuota{quota("requests.storage", "1Gi", "192Mi")}
		}, "ResourceQuota demo/limits", []string{"requests.storage to 3Gi", "allows 1Gi"}},
		"a quota on a class": {func(s *Situation) {
			s.Claims = nil
			s.Quotas = []corev1.ResourceQuota{quota("fast.storageclass.storage.k8s.io/requests.storage", "100Mi", "0")}
		}, "ResourceQuota demo/limits", []string{"fast.storageclass"}},
		"no spare volumes": {func(s *Situation) {
			s.manual()
			s.spare("one", "64Mi")
			s.spare("too-small", "1Mi")
			s.spare("of-others", "64Mi", func(v *corev1.PersistentVolume) {
				v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "other", Name: "www-web-1"}
			})
			s.spare("released", "64Mi", func(v *corev1.PersistentVolume) {
				v.Status.Phase = corev1.VolumeReleased
				v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: ns, Name: "old", UID: "gone"}
			})
		}, "claims www-web-1, www-web-2", []string{
			"not enough Available", "create 2 more PersistentVolumes of class manual, of at least 64Mi",
			"released (last used by claim demo/old): kubectl patch pv released",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := situation()
			test.change(s)
			plan := NewPlan(*s, PlanOptions{})
			i := slices.IndexFunc(plan.Refusals, func(r *cluster.Refusal) bool { return r.Object == test.object })
			if i < 0 {
				t.Fatalf("no refusal about %s: %v", test.object, plan.Err())
			}
			for _, text := range test.texts {
				if !strings.Contains(plan.Refusals[i].Error(), text) {
					t.Errorf("%q is not in %q", text, plan.Refusals[i])
				}
			}
			if plan.Refusals[i].Next == "" {
				t.Error("there is no next step")
			}
			for _, other := range plan.Refusals {
				if other.Object != test.object && !strings.Contains(name, "block volume") && !strings.Contains(name, "class does not") {
					t.Errorf("refused as well: %v", other)
				}
			}
		})
	}
	if plan := NewPlan(*situation(), PlanOptions{}); plan.Err() != nil {
		t.Errorf("nothing stands in the way, and it is refused: %v", plan.Err())
	}
}

func quota(name corev1.ResourceName, hard, used string) corev1.ResourceQuota {
	return corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "limits"},
		Status: corev1.ResourceQuotaStatus{
			Hard: corev1.ResourceList{name: resource.MustParse(hard)},
			Used: corev1.ResourceList{name: resource.MustParse(used)},
		},
	}
}

// TestPlanWarns: the plan says what a person should know, and does not refuse because of it.
func TestPlanWarns(t *testing.T) {
	group := int64(1000)
	tests := map[string]struct {
		change func(*Situation)
		text   string
	}{
		"another cluster": {func(s *Situation) { s.Record.Cluster = "there" }, "from another cluster (there)"},
		"0 replicas":      {func(s *Situation) { *s.StatefulSet.Spec.Replicas = 0 }, "ends with 3 replicas"},
		"fewer replicas": {
			func(s *Situation) { *s.StatefulSet.Spec.Replicas = 2 },
			"holds data of claims beyond the StatefulSet's 2 replicas, which this restore leaves as they are: www-web-2",
		},
		"left out of the backup": {
			func(s *Situation) { s.Record.LeftOut = []catalog.LeftOut{{What: "volume cache", Why: "emptyDir"}} },
			"volume cache (emptyDir)",
		},
		"problems in the backup": {func(s *Situation) {
			s.Record.Volumes[1].ProblemCount, s.Record.Volumes[1].Problems = 1, []string{"a/b: permission denied"}
		}, "www-web-1 is not whole: 1 entries could not be read when it was backed up: a/b: permission denied"},
		"another class": {
			func(s *Situation) { s.Claims[0].Spec.StorageClassName = new(string) },
			`www-web-0 changes its StorageClass from "" to "fast"`,
		},
		"an fsGroup": {func(s *Situation) {
			s.StatefulSet.Spec.Template.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: &group}
		}, "OnRootMismatch"},
		"a template that went away": {func(s *Situation) {
			s.Record.Volumes = append(s.Record.Volumes, catalog.Volume{Ordinal: 0, Template: "logs", Claim: "logs-web-0", RepositorySnapshot: "x"})
		}, "logs-web-0, for which the StatefulSet no longer has a claim template"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := situation()
			test.change(s)
			plan := NewPlan(*s, PlanOptions{})
			if err := plan.Err(); err != nil {
				t.Errorf("refused: %v", err)
			}
			if !strings.Contains(strings.Join(plan.Warnings, "\n"), test.text) {
				t.Errorf("no warning says %q: %q", test.text, plan.Warnings)
			}
		})
	}
	if plan := NewPlan(*situation(), PlanOptions{}); len(plan.Warnings) != 0 {
		t.Errorf("there is nothing to warn of: %q", plan.Warnings)
	}
}

// TestPlanAfterAKill: the plan is for the situation after putting back, with the replicas that the killed
// restore had found.
func TestPlanAfterAKill(t *testing.T) {
	whole := situation()
	wanted := NewPlan(*whole, PlanOptions{})
	j := newJournal(&wanted, "op-1", wanted.Started)

	s := situation()
	*s.StatefulSet.Spec.Replicas = 0
	s.Pods = nil
	for i := range s.Volumes {
		s.Volumes[i].Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
	}
	// Ordinal 0 has a new claim with a new volume; the claim of ordinal 1 is being deleted; the claim of ordinal 2 is gone.
	created := wanted.Volumes[0].manifest.DeepCopy()
	j.Volumes[0].Made = "created"
	created.UID, created.Spec.VolumeName = "created", "pv-new"
	created.Annotations[annotationOperation] = "op-1"
	s.Claims[0] = *created
	half := newVolume("pv-new", "fast", "Delete")
	half.Annotations = map[string]string{provisionedByMark: "csi.test"}
	half.Spec.ClaimRef = &corev1.ObjectReference{Namespace: ns, Name: "www-web-0", UID: "created"}
	s.Volumes = append(s.Volumes, *half)
	s.Claims[1].DeletionTimestamp = deleting()
	s.Claims = s.Claims[:2]
	created.UID = j.Volumes[0].Made
	for _, phase := range []Phase{PhaseDown, PhaseAside, PhaseFill} {
		j.Phase = phase
		s.Journal = j
		plan := NewPlan(*s, PlanOptions{})
		if err := plan.Err(); err == nil || !strings.Contains(err.Error(), "stsbackup restore demo/web --resume") ||
			!strings.Contains(err.Error(), "stsbackup undo demo/web") ||
			strings.Contains(err.Error(), "--keep-present") {
			t.Errorf("without a choice: %v", err)
		}
		if plan := NewPlan(*s, PlanOptions{Kind: KindUndo}); plan.Err() != nil || plan.Way != WayPutBack || plan.ReplicasBefore != 3 {
			t.Errorf("putting back: %v, way %q", plan.Err(), plan.Way)
		}
		plan = NewPlan(*s, PlanOptions{Interrupted: WayResume})
		if err := plan.Err(); err != nil || plan.ReplicasBefore != 3 || plan.ReplicasAfter != 3 {
			t.Errorf("going on: %v, replicas %d and %d", err, plan.ReplicasBefore, plan.ReplicasAfter)
		}
		if got := plan.Volumes[1].displaced; got == nil || got.ReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
			t.Errorf("going on, ordinal 1 would be put back as %+v", got)
		}
		if plan := NewPlan(*s, PlanOptions{Interrupted: WayKeep}); plan.Err() == nil || !strings.Contains(plan.Err().Error(), "nothing to keep") {
			t.Errorf("keeping what is there while nothing runs: %v", plan.Err())
		}
	}
	// While its pods run, a person has three ways to choose from.
	running := situation().Pods
	s.Pods = running
	undecided := NewPlan(*s, PlanOptions{})
	if err := undecided.Err(); err == nil || !strings.Contains(err.Error(), "--keep-present") ||
		!strings.Contains(err.Error(), "web-0, web-1, web-2 run since") {
		t.Errorf("while pods run: %v", err)
	}
	if plan := NewPlan(*s, PlanOptions{Interrupted: WayKeep}); plan.Err() != nil {
		t.Errorf("keeping what runs: %v", plan.Err())
	}
	s.Pods = nil
	// A restore that was killed when all was complete is completed: its claims are the present ones.
	j.Phase = PhaseResume
	s.StatefulSet.Spec.Template.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: cluster.RestoringGate}}
	plan := NewPlan(*s, PlanOptions{})
	if plan.ReplicasBefore != 3 || plan.Volumes[0].Present.Volume != "pv-new" {
		t.Errorf("replicas %d, present volume %s", plan.ReplicasBefore, plan.Volumes[0].Present.Volume)
	}
}

func TestClassify(t *testing.T) {
	claim := func(uid, volume, operation string, going bool) *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "www-web-0", Namespace: ns}}
		c.UID = types.UID(uid)
		c.Spec.VolumeName = volume
		c.Annotations = map[string]string{annotationOperation: operation}
		if going {
			c.DeletionTimestamp = deleting()
		}
		return c
	}
	volume := func(claimUID string) *corev1.PersistentVolume {
		v := newVolume("pv-0", "fast", "Retain")
		v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: ns, Name: "www-web-0", UID: types.UID(claimUID)}
		return v
	}
	full := &cluster.Displaced{UID: "old", Volume: "pv-0"}
	empty := &cluster.Displaced{UID: "old"}
	tests := map[string]struct {
		displaced *cluster.Displaced
		live      *corev1.PersistentVolumeClaim
		volume    *corev1.PersistentVolume
		want      action
	}{
		"nothing was there, nothing is":            {nil, nil, nil, actionNone},
		"nothing was there, we made one":           {nil, claim("new", "pv-1", "op", false), nil, actionClear},
		"nothing was there, somebody made one":     {nil, claim("x", "pv-1", "", false), nil, actionNone},
		"the old one is still there":               {full, claim("old", "pv-0", "", false), volume("old"), actionNone},
		"the old one is still there, and was ours": {full, claim("old", "pv-0", "op", false), volume("old"), actionNone},
		"the old one is going":                     {full, claim("old", "pv-0", "", true), volume("old"), actionRecreate},
		"the old one is gone":                      {full, nil, volume("old"), actionRecreate},
		"ours is in its place":                     {full, claim("new", "pv-1", "op", false), volume("old"), actionReplace},
		"it is back and bound":                     {full, claim("again", "pv-0", "", false), volume("again"), actionNone},
		"it is back and not bound yet":             {full, claim("again", "pv-0", "", false), volume(""), actionRebind},
		"it is back, and its volume was forgotten": {full, claim("again", "pv-0", "", false), volume("old"), actionRebind},
		"somebody else's is in its place":          {full, claim("x", "pv-9", "", false), volume("old"), actionReplace},
		"it had no volume, ours is in its place":   {empty, claim("new", "pv-1", "op", false), nil, actionReplace},
		"it had no volume, and is gone":            {empty, nil, nil, actionRecreate},
		"it had no volume, another is there":       {empty, claim("x", "", "", false), nil, actionNone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			j := &Journal{Operation: "op"}
			if got := classify(j, &JournalVolume{Claim: "www-web-0", Displaced: test.displaced}, test.live, test.volume); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
