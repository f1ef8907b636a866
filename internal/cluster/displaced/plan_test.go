package displaced

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// planned is a volume as List returns it.
func planned(t *testing.T, ordinal int, change ...func(*Volume)) Volume {
	t.Helper()
	v, ours := read(aside(ordinal))
	if !ours {
		t.Fatal("not ours")
	}
	for _, c := range change {
		c(&v)
	}
	return v
}

// user is a pod on a node that mounts a claim and started at that time.
func user(claim string, began time.Time) corev1.Pod {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "user"}}
	pod.Spec.NodeName, pod.Status.Phase = "node-1", corev1.PodRunning
	if !began.IsZero() {
		pod.Status.StartTime = &metav1.Time{Time: began}
	}
	pod.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
	}}}
	return pod
}

func TestPlan(t *testing.T) {
	day := 24 * time.Hour
	by := func(operation string, at time.Time) func(*Volume) {
		return func(v *Volume) { v.By, v.At, v.Name = operation, at, v.Name+"-"+operation }
	}
	is := func(state State) func(*Volume) { return func(v *Volume) { v.State = state } }
	phase := func(phase corev1.PersistentVolumePhase) func(*Volume) { return func(v *Volume) { v.Phase = phase } }
	claimed := func(v *Volume) { v.claimed = asideAt() }
	for what, tt := range map[string]struct {
		situation Situation
		request   Request
		takes     string // names of volumes
		left      []string
		refuses   []string
	}{
		"nothing": {},
		"all":     {situation: Situation{Volumes: []Volume{planned(t, 0), planned(t, 1)}}, takes: "pv-0 pv-1"},
		"an ordinal": {
			Situation{Volumes: []Volume{planned(t, 0), planned(t, 1)}}, Request{Ordinals: []int32{1}}, "pv-1",
			[]string{"pv-0: another ordinal"}, nil,
		},
		"an ordinal that has nothing": {
			Situation{Volumes: []Volume{planned(t, 0)}}, Request{Ordinals: []int32{0, 7}}, "pv-0", nil, []string{"no volume of ordinal " +
				"7 is set aside; leave it out"},
		},
		"an operation": {
			Situation{Volumes: []Volume{planned(t, 0, by("b1", asideAt())), planned(t, 0, by("a1", asideAt())), planned(t, 1, by("a1", asideAt()))}},
			Request{Operation: "a"}, "pv-0-a1 pv-1-a1", []string{"pv-0-b1: another operation"}, nil,
		},
		"an operation that is the beginning of another": {
			Situation{Volumes: []Volume{planned(t, 0, by("a1", asideAt())), planned(t, 0, by("a12", asideAt()))}},
			Request{Operation: "a1"}, "pv-0-a1", []string{"pv-0-a12: another operation"}, nil,
		},
		"an operation that is not clear": {
			Situation{Volumes: []Volume{planned(t, 0, by("a1", asideAt())), planned(t, 0, by("a2", asideAt()))}},
			Request{Operation: "a"}, "", []string{"pv-0-a1", "pv-0-a2"}, []string{`several operations begin with "a": a1, a2`},
		},
		"an operation that is not known": {
			Situation{Volumes: []Volume{planned(t, 0, by("a1", asideAt()))}},
			Request{Operation: "c"}, "", []string{"pv-0-a1"}, []string{`no operation "c" has set aside any of these volumes; name one of a1`},
		},
		"an age is that of all that the operation has set aside": {
			Situation{Volumes: []Volume{
				planned(t, 0, by("new", asideAt().Add(day))), planned(t, 1, by("new", asideAt())), planned(t, 0,
					by("old", asideAt().Add(day-time.Second))),
				planned(t, 1, by("old", time.Time{})),
				planned(t, 0, by("older", asideAt())),
			}},
			Request{Before: asideAt().Add(day)}, "pv-0-older",
			[]string{
				"pv-0-new: it has been set aside since 2026-11-22T08:15:00Z", "pv-1-new: it has been", "pv-0-old: when it was",
				"pv-1-old: when it was",
			}, nil,
		},
		"a clock that was wrong makes nothing older than Kubernetes knows": {
			Situation{Volumes: []Volume{planned(t, 0, func(v *Volume) { v.released = asideAt().Add(day) }), planned(t, 1)}},
			Request{Before: asideAt().Add(time.Hour)}, "", []string{
				"pv-0: it has been set aside since 2026-11-22T08:15:00Z", "pv-1: it has been",
			}, nil,
		},
		"what is in use is not set aside any more": {
			Situation{
				Volumes: []Volume{
					planned(t, 0, is(StateBound)), planned(t, 1, is(StateReserved)), planned(t, 2, is(StateGoing)),
					planned(t, 3, is(StateFree)),
				},
			},
			Request{}, "", []string{
				"pv-0: claim demo/www-web-0 holds it again", "pv-1: it is reserved", "pv-2: it is being deleted", "pv-3: any claim may",
			}, nil,
		},
		"a restore is under way": {
			Situation{Volumes: []Volume{planned(t, 0)}, Restore: "a restore has begun"}, Request{}, "pv-0", nil,
			[]string{"StatefulSet demo/web: a restore has begun, and may have to put back what is set aside; let it end"},
		},
		"a restore is under way, and nothing is chosen": {
			Situation{Volumes: []Volume{planned(t, 0)}, Restore: "a restore has begun"}, Request{Before: asideAt()}, "", []string{"pv-0"}, nil,
		},
		"not Released": {
			Situation{Volumes: []Volume{planned(t, 0, phase(corev1.VolumeBound))}}, Request{}, "pv-0", nil,
			[]string{"volume pv-0: Kubernetes says that it is Bound, not Released"},
		},
		"attached": {
			Situation{Volumes: []Volume{planned(t, 0), planned(t, 1)}, Attached: map[string]string{"pv-1": "node-7"}}, Request{}, "pv-0 pv-1", nil,
			[]string{"volume pv-1: it is still used by node node-7, which it is attached to"},
		},
		"another one's attachment": {
			Situation{Volumes: []Volume{planned(t, 0)}, Attached: map[string]string{"pv-1": "node-7"}}, Request{}, "pv-0", nil, nil,
		},
		"a pod of a claim that was torn from it": {
			Situation{Volumes: []Volume{planned(t, 0)}, Pods: []corev1.Pod{user("www-web-0", time.Time{})}}, Request{}, "pv-0", nil, []string{
				"volume pv-0: it is still used by pod demo/user",
			},
		},
		"a pod that is older than the present claim": {
			Situation{Volumes: []Volume{planned(t, 0, claimed)}, Pods: []corev1.Pod{user("www-web-0", asideAt().Add(-time.Second))}}, Request{},
			"pv-0", nil, []string{"volume pv-0: it is still used"},
		},
		"the present claim's pod": {
			Situation{Volumes: []Volume{planned(t, 0, claimed)}, Pods: []corev1.Pod{user("www-web-0", asideAt())}}, Request{}, "pv-0",
			nil, nil,
		},
		"another claim's pod": {
			Situation{Volumes: []Volume{planned(t, 0)}, Pods: []corev1.Pod{user("www-web-1", time.Time{})}}, Request{}, "pv-0", nil, nil,
		},
	} {
		t.Run(what, func(t *testing.T) {
			tt.situation.Namespace, tt.situation.StatefulSet = "demo", "web"
			plan := NewPlan(tt.situation, tt.request)
			var takes, left, refuses []string
			for _, v := range plan.Volumes {
				takes = append(takes, v.Name)
			}
			for _, v := range plan.Left {
				left = append(left, v.Name+": "+v.Because)
			}
			for _, r := range plan.Refusals {
				refuses = append(refuses, r.Error())
			}
			if got := strings.Join(takes, " "); got != tt.takes || plan.Bytes != int64(len(takes))<<30 {
				t.Errorf("takes %s (%d bytes), want %s", got, plan.Bytes, tt.takes)
			}
			begins(t, "left", left, tt.left)
			begins(t, "refusals", refuses, tt.refuses)
			if (plan.Err() != nil) != (len(tt.refuses) > 0) {
				t.Errorf("%v", plan.Err())
			}
		})
	}
}

// begins checks that each text contains its counterpart.
func begins(t *testing.T, what string, got, want []string) {
	t.Helper()
	ok := len(got) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = strings.Contains(got[i], want[i])
	}
	if !ok {
		t.Errorf("%s:\n%s\nwant:\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestFate: the plan says whether the data will be deleted.
func TestFate(t *testing.T) {
	kept := aside(0, func(pv *corev1.PersistentVolume) {
		pv.Spec.CSI.VolumeAttributes = map[string]string{"onDelete": "retain"}
	})
	var got []string
	for _, pv := range []*corev1.PersistentVolume{aside(0), kept, aside(0, manual)} {
		v, _ := read(pv)
		got = append(got, fmt.Sprint(v.Deletes, " ", v.fate()))
	}
	if diff := cmp.Diff([]string{
		"true deleted with its data by csi.test",
		"false deleted by csi.test, which its class has keep the data",
		"false Available to any claim, with the data still on it",
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
