package ui

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/internal/cluster/displaced"
)

func TestPrintDisplaced(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	volume := displaced.Volume{
		Name:        "pv-0",
		Namespace:   "demo",
		StatefulSet: "web",
		Claim:       "www-web-0",
		Size:        1 << 30,
		Class:       "fast",
		At:          at,
		By:          "20261121T075900Z-3fa9",
		Why:         displaced.WhyReplaced,
		State:       displaced.StateAside,
		Now:         "pv-new",
	}
	odd := volume
	odd.Name, odd.StatefulSet, odd.Ordinal, odd.State = "pv-1", "", -1, displaced.StateBound
	odd.At, odd.By, odd.Class, odd.Problem = time.Time{}, "", "", "no\ttime"
	var out bytes.Buffer
	if err := WriteDisplaced(&out, Text, []displaced.Volume{volume, odd}); err != nil {
		t.Fatal(err)
	}
	want := `ORDINAL  CLAIM           VOLUME  SIZE   CLASS  SET ASIDE             BY                     WHY       NOW
0        demo/www-web-0  pv-0    1 GiB  fast   2026-11-21T08:00:00Z  20261121T075900Z-3fa9  replaced  pv-new
-        demo/www-web-0  pv-1    1 GiB  -      -                     -                      replaced  bound again, not set aside

Note: somebody has changed the marks on pv-1: no\ttime
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	out.Reset()
	if err := WriteDisplaced(&out, JSON, nil); err != nil || out.String() != "[]\n" {
		t.Errorf("%v, %s", err, &out)
	}
}
