package compress

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, name := range []string{"off", "fast", "default", "max"} {
		level, err := Parse(name)
		if err != nil || level.String() != name {
			t.Errorf("%s: %v, %v", name, level, err)
		}
	}
	for _, name := range []string{"", "auto", "Max", "3"} {
		if _, err := Parse(name); err == nil || !strings.Contains(err.Error(), "off, fast, default and max") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if Level(0).String() != "default" {
		t.Error("the zero value is not the default")
	}
}
