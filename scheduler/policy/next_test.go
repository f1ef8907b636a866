package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// jittered is one policy with this schedule and jitter.
func jittered(t *testing.T, fields string) *Policy {
	t.Helper()
	return &parse(t, "- {name: p, select: {names: [a]}, "+fields+"}\n").Policies[0]
}

func TestNext(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		fields string
		want   []string
	}{
		{`schedule: "30 2 * * *"`, []string{"2026-03-29T02:30:00Z", "2026-03-30T02:30:00Z"}},
		{`schedule: "30 2 * * *", timeZone: Europe/Berlin`, []string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
		// The offset of demo/web is the same each time.
		{`schedule: "30 2 * * *", timeZone: Europe/Berlin, jitter: 1h`, []string{"2026-03-29T03:51:09+02:00", "2026-03-30T03:21:09+02:00"}},
		{`schedule: "*/5 * * * *", jitter: 1s`, []string{"2026-03-28T12:05:00Z", "2026-03-28T12:10:00Z"}},
		{`schedule: "*/5 * * * *", suspend: true`, []string{"0001-01-01T00:00:00Z"}},
	} {
		policy := jittered(t, test.fields)
		var got []string
		for at := start; len(got) < len(test.want); {
			at = policy.Next("demo", "web", at)
			got = append(got, at.Format(time.RFC3339))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.fields, diff)
		}
	}
}

// TestNextLosesNone asks at every second of two runs: the next run is always the one that is due, and no run comes
// twice.
func TestNextLosesNone(t *testing.T) {
	t.Parallel()
	policy := jittered(t, `schedule: "*/10 * * * *", jitter: 9m`)
	offset := policy.Offset("demo", "web")
	if offset == 0 || offset >= 9*time.Minute {
		t.Fatalf("offset %s", offset)
	}
	begin := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for second := range 1200 {
		at := begin.Add(time.Duration(second) * time.Second)
		want := begin.Add(offset)
		for !want.After(at) {
			want = want.Add(10 * time.Minute)
		}
		if got := policy.Next("demo", "web", at); !got.Equal(want) {
			t.Fatalf("after %s: %s, want %s", at, got, want)
		}
	}
}

// TestOffset: StatefulSets are spread over the whole jitter, and each keeps its place.
func TestOffset(t *testing.T) {
	t.Parallel()
	policy := jittered(t, `schedule: "@daily", jitter: 1h`)
	quarters := [4]int{}
	for _, set := range sets(400) {
		offset := policy.Offset(set.Namespace, set.Name)
		if offset < 0 || offset >= time.Hour || offset != policy.Offset(set.Namespace, set.Name) || offset%time.Second != 0 {
			t.Fatalf("%s/%s: %s", set.Namespace, set.Name, offset)
		}
		quarters[offset/(15*time.Minute)]++
	}
	for i, count := range quarters {
		if count < 70 || count > 130 {
			t.Errorf("quarter %d has %d of 400 StatefulSets", i, count)
		}
	}
	if a, b := policy.Offset("a", "b-c"), policy.Offset("a-b", "c"); a == b {
		t.Errorf("two StatefulSets share the offset %s", a)
	}
	if got := jittered(t, `schedule: "@daily"`).Offset("demo", "web"); got != 0 {
		t.Errorf("no jitter, but %s", got)
	}
}
