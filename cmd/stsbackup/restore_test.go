package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/restore"
)

// Somebody who gives no answer wants to know that nothing was changed.
func TestNoAnswer(t *testing.T) {
	for _, in := range []string{"", "y\n", "Yes\n", "\n"} {
		a := &app{in: strings.NewReader(in), err: new(bytes.Buffer)}
		err := agree(t.Context(), a, ui.Text, false, &restore.Plan{Kind: restore.KindUndo})
		if err == nil || !strings.HasPrefix(err.Error(), "nothing was changed, because") {
			t.Errorf("the answer %q: %v", in, err)
		}
	}
}

func TestTakeBack(t *testing.T) {
	report := &restore.Report{Namespace: "demo", StatefulSet: "web", Displaced: []restore.DisplacedVolume{{Claim: "www-web-0"}}}
	if got := takeBack(restore.ErrNotReady, report).Error(); !strings.Contains(got, `"stsbackup undo demo/web"`) {
		t.Errorf("pods that are not Ready: %s", got)
	}
	if other := errors.New("other"); !errors.Is(takeBack(other, report), other) || takeBack(other, report).Error() != "other" ||
		takeBack(nil, report) != nil {
		t.Error("what has nothing to do with pods gets the advice too")
	}
	if got := takeBack(restore.ErrNotReady, &restore.Report{}).Error(); strings.Contains(got, "undo") {
		t.Errorf("nothing was set aside: %s", got)
	}
}
