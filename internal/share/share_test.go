package share

import "testing"

func TestParse(t *testing.T) {
	for text, want := range map[string]float64{"5%": 0.05, "100%": 1, "0.5%": 0.005, "2.5%": 0.025} {
		got, ok := Parse(text)
		if !ok || got != want || Format(got) != text {
			t.Errorf("%s: %v, %v; written again %s", text, got, ok, Format(got))
		}
	}
	for _, text := range []string{"", "%", "5", "0%", "-1%", "100.1%", "NaN%", "Inf%", "5 %", "0.5"} {
		if got, ok := Parse(text); ok {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}
