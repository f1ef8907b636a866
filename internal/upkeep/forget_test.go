package upkeep

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// TestForgetRefuses: what a restore would use is forgotten only with Force, however it is named, and whatever else is named.
func TestForgetRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	newest := w.ids[3]
	for _, tt := range []struct {
		request ForgetRequest
		says    string
		would   int
	}{
		{ForgetRequest{IDs: []string{newest}}, "--force", 0},
		{ForgetRequest{IDs: []string{newest[:len(newest)-2]}}, newest + " of demo/web: it is the newest complete one", 0},
		{ForgetRequest{IDs: []string{w.ids[0], newest}}, newest, 0},
		{ForgetRequest{IDs: []string{newest}, DryRun: true}, newest, 1},
		{ForgetRequest{IDs: w.ids}, "nothing left to restore from", 0},
		{ForgetRequest{IDs: w.ids, Force: true}, "no complete one may be left", 0}, // and there is nobody to ask
	} {
		tt.request.StatefulSet = web()
		forgotten, err := w.Forget(t.Context(), tt.request)
		var refusal *Refusal
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), tt.says) || len(forgotten) != tt.would {
			t.Errorf("%+v: %v, %v", tt.request, forgotten, err)
		}
	}
	if _, err := w.Forget(t.Context(), ForgetRequest{StatefulSet: web(), IDs: []string{"2020"}}); !errors.Is(err, catalog.ErrNoRecoveryPoint) {
		t.Errorf("one that there is not: %v", err)
	}
	if diff := cmp.Diff(append([]string{w.dead}, w.ids...), w.left()); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

// TestForgetAsks before it forgets a complete recovery point, and forgets what the person agrees to.
func TestForgetAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	no := errors.New("no")
	for _, tt := range []struct {
		ids    []string
		answer error
		asked  Question
		left   int
	}{
		{[]string{w.ids[0]}, no, Question{Known: true, Left: 3}, 5},
		{[]string{w.ids[0]}, nil, Question{Known: true, Left: 3}, 4},
		{[]string{w.dead}, no, Question{}, 3}, // not complete: no question
		{w.ids[1:], no, Question{Known: true, Last: true}, 3},
		{w.ids[1:], nil, Question{Known: true, Last: true}, 0},
	} {
		var asked Question
		w.Confirm = func(_ context.Context, question Question) error {
			asked = question
			return tt.answer
		}
		forgotten, err := w.Forget(t.Context(), ForgetRequest{StatefulSet: web(), IDs: tt.ids, Force: true})
		if tt.asked.Known {
			tt.asked.StatefulSet = web()
			if len(asked.Forgotten) != len(tt.ids) || !errors.Is(err, tt.answer) {
				t.Errorf("%v: %+v, %v", tt.ids, asked, err)
			}
			asked.Forgotten = nil
		}
		if diff := cmp.Diff(tt.asked, asked); diff != "" || len(w.left()) != tt.left || err == nil && len(forgotten) != len(tt.ids) {
			t.Errorf("%v: %d forgotten, %v; question (-want +got):\n%s", tt.ids, len(forgotten), err, diff)
		}
	}
}

// TestForgetNewestMeanwhile: a recovery point that becomes the newest complete one between the question and the answer stays.
func TestForgetNewestMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Confirm = func(ctx context.Context, _ Question) error {
		_, err := w.points.Forget(ctx, w.ids[3])
		return err
	}
	forgotten, err := w.Forget(t.Context(), ForgetRequest{StatefulSet: web(), IDs: []string{w.ids[2]}})
	var refusal *Refusal
	if want := append([]string{w.dead}, w.ids[:3]...); !errors.As(err, &refusal) || len(forgotten) != 0 || !cmp.Equal(want, w.left()) {
		t.Errorf("forgotten %v, left %q, %v", forgotten, w.left(), err)
	}
}

// TestForgetWithoutLooking: with a damaged index nobody knows which recovery point is the newest; Force goes on, and asks.
func TestForgetWithoutLooking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.damage("demo/web/index/")
	request := ForgetRequest{StatefulSet: web(), IDs: []string{w.ids[0]}}
	if _, err := w.Forget(t.Context(), request); err == nil || !strings.Contains(err.Error(), "stsbackup repair demo/web") {
		t.Errorf("without force: %v", err)
	}
	request.Force = true
	var refusal *Refusal
	if _, err := w.Forget(t.Context(), request); !errors.As(err, &refusal) {
		t.Errorf("nobody was asked: %v", err)
	}
	w.Confirm = func(_ context.Context, question Question) error {
		if question.Known || !question.Last {
			t.Errorf("asked %+v", question)
		}
		return nil
	}
	before := len(w.names("demo/web/snapshots/"))
	if forgotten, err := w.Forget(t.Context(), request); err != nil || len(forgotten) != 1 {
		t.Errorf("%v, %v", forgotten, err)
	}
	if left := len(w.names("demo/web/snapshots/")); left != before-2 {
		t.Errorf("%d repository snapshots of %d are left", left, before)
	}
}
