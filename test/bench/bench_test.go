package main

import (
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/test/bench/report"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		args string
		ok   bool
	}{
		{"-bin b", true},
		{"-bin b -only pages -rounds 1 -full", true},
		{"", false},
		{"-bin b extra", false},
		{"-bin b -rounds 0", false},
		{"-bin b -only (", false},
	} {
		if _, err := parse(strings.Fields(test.args)); (err == nil) != test.ok {
			t.Errorf("%q: %v", test.args, err)
		}
	}
}

func TestEveryKindOfDataIsMeasured(t *testing.T) {
	want := map[string]bool{
		report.Incompressible: true,
		report.Pages:          true,
		report.Unchanged:      true,
		report.Changed:        true,
		report.SmallFiles:     true,
		report.SmallUnchanged: true,
		report.Replicas:       true,
	}
	for _, s := range scenarios(smallDirs) {
		for _, step := range s.steps {
			if !want[step.name] {
				t.Errorf("nobody asks for %q", step.name)
			}
			delete(want, step.name)
		}
	}
	for name := range want {
		t.Errorf("%q is missing", name)
	}
}

func TestLookUp(t *testing.T) {
	const text = "model\t: 2\nmodel name\t: Some CPU: fast\nmodel name\t: other\n"
	if got := lookUp(strings.NewReader(text), "model name"); got != "Some CPU: fast" {
		t.Errorf("got %q", got)
	}
	if got := lookUp(strings.NewReader(text), "none"); got != "" {
		t.Errorf("got %q for what is not there", got)
	}
}
