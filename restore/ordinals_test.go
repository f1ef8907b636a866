package restore

import (
	"slices"
	"strings"
	"testing"
)

func TestParseOrdinals(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]int32{
		"0": {0}, "2,0": {2, 0}, " 1 , 3 ": {1, 3}, "4,4,5": {4, 5}, "2147483647": {2147483647},
	} {
		got, err := ParseOrdinals(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("ParseOrdinals(%q) = %v, %v; want %v", text, got, err, want)
		}
		if again, err := ParseOrdinals(OrdinalsText(got)); err != nil || !slices.Equal(again, got) {
			t.Errorf("%v is read again as %v, %v", got, again, err)
		}
	}
	for _, text := range []string{"", "-1", "0,", "a", "1-3", "2147483648", "0x1"} {
		if got, err := ParseOrdinals(text); err == nil || !strings.Contains(err.Error(), "is not an ordinal; write for example 0 or 0,2") {
			t.Errorf("ParseOrdinals(%q) = %v, %v; want an error", text, got, err)
		}
	}
	if got := OrdinalsText(nil); got != "" {
		t.Errorf("no ordinals are written as %q", got)
	}
}
