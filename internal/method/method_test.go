package method

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, name := range []string{"auto", "snapshot", "live"} {
		if got, err := Parse(name); err != nil || string(got) != name {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if !strings.Contains(Help(), "  "+name+" ") {
			t.Errorf("the help does not say what %s does", name)
		}
	}
	for _, name := range []string{"", "Live", "group"} {
		if _, err := Parse(name); err == nil || !strings.Contains(err.Error(), "none of auto, snapshot and live") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
