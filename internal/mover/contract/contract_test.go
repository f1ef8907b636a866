package contract

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/cobra"
)

// read parses a mover's command line like its command, with plain flags for those that Bind leaves to the command.
func read(line []string) (any, error) {
	if len(line) < 2 || line[0] != Command {
		return nil, fmt.Errorf("%q is no command of movers", line)
	}
	var backup BackupArgs
	var restore RestoreArgs
	var probe ProbeArgs
	flags := (&cobra.Command{}).Flags()
	common := map[string]func() *Common{
		VerbBackup:  func() *Common { backup.Bind(flags); return &backup.Common },
		VerbRestore: func() *Common { restore.Bind(flags); return &restore.Common },
		VerbProbe:   func() *Common { probe.Bind(flags); return &probe.Common },
	}[line[1]]()
	flags.StringVar(&common.Repo, FlagRepo, "", "")
	flags.StringVar(&backup.Compression, FlagCompression, "", "")
	flags.DurationVar(&backup.RetryLock, FlagRetryLock, time.Hour, "")
	if err := flags.Parse(line[2:]); err != nil {
		return nil, err
	}
	on := flags.Args()
	switch {
	case line[1] == VerbBackup && len(on) == 1:
		backup.Dir = on[0]
		return backup, nil
	case line[1] == VerbRestore && len(on) == 2:
		restore.Source, restore.Dir = on[0], on[1]
		return restore, nil
	case line[1] == VerbProbe && len(on) == 1:
		probe.Source = on[0]
		return probe, nil
	}
	return nil, fmt.Errorf("%s works on %q", line[1], on)
}

// roundTrip reads what Args has spelled.
func roundTrip(t *testing.T, args interface{ Args() []string }) {
	t.Helper()
	got, err := read(args.Args())
	if diff := cmp.Diff(any(args), got, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("%q: %v (-spelled +read)\n%s", args.Args(), err, diff)
	}
}

// FuzzArgs: whatever Args spells is read as the same values.
func FuzzArgs(f *testing.F) {
	for _, text := range []string{
		"plain", "two words", "-dash", "--write", "a=b", "a,b", `"quoted"`, `"`, "$(X)", "a\nb", ",", "\\", "ümlaut", "",
	} {
		f.Add(text, "b", "c", "d", "e", true, false, 3)
		f.Add("a", text, text, text, text, false, true, 0)
	}
	f.Fuzz(func(t *testing.T, a, b, c, d, e string, yes, no bool, n int) {
		// A list is read as CSV, in which \r\n in a value becomes \n. Args does not spell an empty value.
		texts := slices.DeleteFunc([]string{a, b, c}, func(s string) bool { return s == "" || strings.Contains(s, "\r") })
		common := Common{Repo: a, PasswordFile: b, ResultFile: c, Operation: d}
		roundTrip(t, BackupArgs{
			Common: common, Dir: "/" + e, As: a, Claim: b, Ordinal: max(n, NoOrdinal), RecoveryPoint: c, ForceRead: yes, Compression: d,
			RetryLock: time.Duration(max(n, 0)),
		})
		roundTrip(t, RestoreArgs{
			Common: common, Source: "/" + e, Dir: "/" + a, Claim: b, RepositorySnapshot: c, IntoEmpty: yes, TakeBack: no, IntoClaim: d,
			Resumes: texts,
		})
		roundTrip(t, ProbeArgs{Common: common, Source: "/" + d, RepositorySnapshots: texts, Write: no})
	})
}

// TestInPod: a mover in a pod finds its files in the one folder, and leaves its result where Kubernetes looks for it.
func TestInPod(t *testing.T) {
	t.Parallel()
	want := Common{Repo: "s3://b", PasswordFile: "/etc/stsbackup/password", ResultFile: "/dev/termination-log", Operation: "mover:uid:id"}
	if diff := cmp.Diff(want, InPod("s3://b", "mover:uid:id")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
