package main

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Somebody who has mistyped a name, an ordinal or an operation must not believe that nothing is set aside.
func TestUndoList(t *testing.T) {
	c := newDisplacedCluster(t, appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "quiet"}})
	s, _ := discardShell(t, c)
	for _, tt := range []struct {
		code int
		says string
		args []string
	}{
		{exitDone, "", []string{"demo/web"}},
		{exitDone, "", []string{"gone/old"}},
		{exitDone, "No volume of demo/quiet is set aside.", []string{"demo/quiet"}},
		{exitNotFound, "no volume of demo/wed is set aside: StatefulSet demo/wed: not found", []string{"demo/wed"}},
		{exitNotFound, "no volume of gone/odl is set aside: StatefulSet gone/odl", []string{"gone/odl"}},
		{exitDone, "None of the volumes that are set aside for demo/web (3 volumes) belongs to the ordinals and the " +
			"operation", []string{"demo/web", "--ordinals", "7"}},
		{exitDone, "None of the volumes that are set aside for demo/web (3 volumes) belongs to the ordinals and the " +
			"operation", []string{"demo/web", "--operation", "x"}},
		{exitUsage, `"" is no id of an operation`, []string{"demo/web", "--operation", ""}},
	} {
		s.run(tt.code, append([]string{"undo", "--list", "--kubeconfig", c.kubeconfig}, tt.args...)...)
		s.says(tt.says)
	}
}
