package cluster

import "testing"

// TestMoverEnv: Kubernetes does not replace what looks like a variable.
func TestMoverEnv(t *testing.T) {
	vars := moverEnv(map[string]string{"B": "$(PATH) $$ $x", "A": "plain"})
	if len(vars) != 2 || vars[0].Name != "A" || vars[0].Value != "plain" || vars[1].Value != "$$(PATH) $$$$ $$x" {
		t.Errorf("%+v", vars)
	}
}
