package nearest

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	t.Parallel()
	known := []string{"namespaces", "namespaceLabels", "names", "startingDeadline", "timeZone", "keep", "suspend"}
	for word, want := range map[string]string{
		"namespace": "namespaces", "name": "names", "nameSpaceLabel": "namespaceLabels", "time_zone": "timeZone", "timezone": "timeZone",
		"starting-deadline": "startingDeadline", "deadline": "", "keeps": "keep", "kepe": "keep", "suspended": "suspend",
		"xyz": "", "": "", "a": "", strings.Repeat("keep", 100): "",
	} {
		if got := Name(word, known); got != want {
			t.Errorf("Name(%.30q) = %q, want %q", word, got, want)
		}
	}
	if got := Name("x", nil); got != "" {
		t.Errorf("nothing is known, but %q is near", got)
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"web", "web", 0}, {"", "web", 3}, {"web", "", 3}, {"wbe", "web", 2}, {"web", "web1", 1}, {"kitten", "sitting", 3},
	} {
		if got := Distance(test.a, test.b); got != test.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
