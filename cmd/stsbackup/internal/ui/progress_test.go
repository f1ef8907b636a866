package ui

import (
	"bytes"
	"testing"
)

// Packs shows the count to a person who watches, and to nobody else.
func TestPacks(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for _, screen := range []Screen{{Out: &out, Format: Text}, {Out: &out, Format: JSON, Terminal: true}} {
		if screen.Packs() != nil {
			t.Errorf("%+v counts packs", screen)
		}
	}
	screen := Screen{Out: &out, Format: Text, Terminal: true}
	if screen.Packs()(2, 7); out.String() != "\r2 of 7 packs read" {
		t.Errorf("it says %q", &out)
	}
}
