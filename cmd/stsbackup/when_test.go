package main

import (
	"strings"
	"testing"
	"time"
)

func TestWhen(t *testing.T) {
	now := time.Date(2026, 11, 28, 7, 15, 30, 0, time.FixedZone("", 2*3600)) // 05:15:30 UTC
	for ref, want := range map[string]string{
		"now":                       "2026-11-28T05:15:30Z",
		"today":                     "2026-11-28T23:59:59.999999999Z",
		"Yesterday":                 "2026-11-27T23:59:59.999999999Z",
		"2026-11":                   "2026-11-30T23:59:59.999999999Z",
		"2026-11-28":                "2026-11-28T23:59:59.999999999Z",
		"2026-11-28T01":             "2026-11-28T01:59:59.999999999Z",
		"2026-11-28T01:24":          "2026-11-28T01:24:59.999999999Z",
		"2026-11-28 01:24":          "2026-11-28T01:24:59.999999999Z",
		"2026-11-28T01:24:30":       "2026-11-28T01:24:30.999999999Z",
		"2026-11-28T01:24+02:00":    "2026-11-27T23:24:59.999999999Z",
		"2026-11-28T01:24:30Z":      "2026-11-28T01:24:30Z",
		"2026-11-28T01:24:30-01:00": "2026-11-28T02:24:30Z",
		"3h":                        "2026-11-28T02:15:30Z",
		"90min":                     "2026-11-28T03:45:30Z",
		"1d12h":                     "2026-11-26T17:15:30Z",
		"2mo":                       "2026-09-28T05:15:30Z",
		// Ids, their beginnings, and what is no time at all.
		"20261121T081200Z-3fa91c07": "", "20261121": "", "2026": "", "20261121T08": "", "latest": "", "": "", "2026-13-01": "", "5m": "", "h": "",
		"2026-11-28T25:00": "", "tomorrow's": "",
	} {
		got, isTime := when(ref, now)
		if isTime != (want != "") || isTime && got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("when(%q) = %s, %v; want %q", ref, got.UTC().Format(time.RFC3339Nano), isTime, want)
		}
	}
}

// TestPointsByTime: every command that takes a recovery point takes the words for times; what removes one does not.
func TestPointsByTime(t *testing.T) {
	k := newKeeper(t) // at noon on the 21st; recovery points at 08:00 on the 19th, 20th, and at 07:00 and 08:00 on the 21st
	for ref, want := range map[string]string{
		"yesterday": k.ids[1], "2026-11-20": k.ids[1], "2026-11-19": k.ids[0], "today": k.ids[3], "2026-11-21T07:30": k.ids[2], "1d": k.ids[1], "4h30min": k.ids[2],
	} {
		if out := k.run(exitDone, "show", "demo/web@"+ref); !strings.Contains(out, want) {
			t.Errorf("show @%s: %s; want %s", ref, out, want)
		}
		if out := k.run(exitDone, "verify", "demo/web@"+ref); !strings.Contains(out, want) || strings.Count(out, "20261") != 1 {
			t.Errorf("verify @%s: %s; want %s", ref, out, want)
		}
		k.run(exitUsage, "forget", "demo/web@"+ref)
		k.says("forget takes only ids")
	}
	k.run(exitFailed, "volume", "ls", "demo/web@yesterday", "--claim", "www-web-0")
	k.says("has no top-level entry") // it was found, and there is nothing in it
	k.run(exitNotFound, "show", "demo/web@2026-11-18")
	k.says("no complete one is as old as 2026-11-18T23:59:59Z; there are " + k.ids[3])
	k.run(exitNotFound, "show", "demo/web@yesteryear")
	k.says(`no such recovery point as "yesteryear", which is neither the beginning of an id nor a time; there are `)
}
