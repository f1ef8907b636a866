package cluster

import (
	"errors"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// A backup must not save what a killed restore has left in the claims as if it were complete, even if somebody has deleted the journal.
func TestHeld(t *testing.T) {
	set := func(replicas int32, gated bool) *appsv1.StatefulSet {
		sts := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web"}}
		sts.Spec.Replicas = &replicas
		sts.Spec.Template.Spec.SchedulingGates = gates(&sts.Spec.Template.Spec, gated)
		return sts
	}
	journal := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: JournalName("web")}}
	for what, tt := range map[string]struct {
		objects []runtime.Object
		note    bool
		refused string
	}{
		"no restore":                    {objects: []runtime.Object{set(3, false)}},
		"no StatefulSet":                {},
		"held":                          {objects: []runtime.Object{set(0, true), journal}, refused: "--resume"},
		"held, and scaled up":           {objects: []runtime.Object{set(3, true), journal}, refused: "--resume"},
		"somebody has had them started": {objects: []runtime.Object{set(3, false), journal}, note: true},
		"held, and the journal is gone": {objects: []runtime.Object{set(0, true)}, refused: "kubectl -n demo patch statefulset web"},
		"held, scaled up, no journal":   {objects: []runtime.Object{set(3, true)}, refused: "stsbackup undo demo/web"},
	} {
		t.Run(what, func(t *testing.T) {
			c, _, _ := fakeCluster(tt.objects...)
			note, err := c.Held(t.Context(), "demo", "web")
			if (note != "") != tt.note || (err != nil) != (tt.refused != "") {
				t.Fatalf("note %q, error %v", note, err)
			}
			if err != nil && (!errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), tt.refused)) {
				t.Errorf("error %v does not say %q", err, tt.refused)
			}
		})
	}
}
