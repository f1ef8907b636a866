package main

import (
	"strings"
	"testing"
)

// TestPointsByTime: every command that takes a recovery point accepts words for times, except the command that removes
// one.
func TestPointsByTime(t *testing.T) {
	k := newKeeper(t) // at noon on the 21st; recovery points at 08:00 on the 19th, 20th, and at 07:00 and 08:00 on the 21st
	for ref, want := range map[string]string{
		"yesterday": k.ids[1], "2026-11-20": k.ids[1], "2026-11-19": k.ids[0], "today": k.ids[3], "2026-11-21T07:30": k.ids[2], "1d": k.ids[1],
		"4h30min": k.ids[2],
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
	k.says("has no top-level entry") // it was found, and is empty
	k.run(exitNotFound, "show", "demo/web@2026-11-18")
	k.says("no complete one is as old as 2026-11-18T23:59:59Z; there are " + k.ids[3])
	k.run(exitNotFound, "show", "demo/web@yesteryear")
	k.says(`no such recovery point as "yesteryear", which is neither the beginning of an id nor a time; there are `)
}
