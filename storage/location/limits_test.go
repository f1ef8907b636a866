package location

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stsbackup/stsbackup/storage/limit"
)

// isInvalid reports whether err says that a person has written something wrongly.
func isInvalid(err error) bool {
	var invalid *InvalidError
	return errors.As(err, &invalid)
}

func TestReadLimits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		given Limits
		env   map[string]string
		want  limit.Limits
		fails bool
	}{
		"none":        {want: limit.Limits{}},
		"given":       {given: Limits{"100", "2048", "4"}, want: limit.Limits{Upload: 100 << 10, Download: 2 << 20, Connections: 4}},
		"environment": {env: map[string]string{EnvLimitUpload: "9", EnvConnections: "3"}, want: limit.Limits{Upload: 9 << 10, Connections: 3}},
		"given comes first": {
			given: Limits{Upload: "10"}, env: map[string]string{EnvLimitUpload: "9"}, want: limit.Limits{Upload: 10 << 10},
		},
		"the slowest":     {given: Limits{"8", "8", "2"}, want: limit.Limits{Upload: 8 << 10, Download: 8 << 10, Connections: 2}},
		"too slow":        {given: Limits{Upload: "7"}, fails: true},
		"with a unit":     {given: Limits{Download: "10M"}, fails: true},
		"one connection":  {given: Limits{Connections: "1"}, fails: true},
		"too fast":        {given: Limits{Upload: "9999999999"}, fails: true},
		"bad environment": {env: map[string]string{EnvLimitDownload: "-1"}, fails: true},
	} {
		got, err := test.given.read(func(name string) string { return test.env[name] })
		if (err != nil) != test.fails || err != nil && !isInvalid(err) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(limit.Limits{}, "Now")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestLimitsForAnotherProcess(t *testing.T) {
	t.Parallel()
	env := map[string]string{EnvConnections: "5", EnvLimitDownload: "70"}
	got := Limits{Download: "80"}.Environment(func(name string) string { return env[name] })
	if diff := cmp.Diff(map[string]string{EnvConnections: "5", EnvLimitDownload: "80"}, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}
