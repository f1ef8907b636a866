package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/memory"
	"github.com/stsbackup/stsbackup/internal/share"
	"github.com/stsbackup/stsbackup/internal/upkeep"
)

// verifyCommand holds the flags of stsbackup verify.
type verifyCommand struct {
	repositoryFlags
	choose   chooseFlags
	readData shareFlag
}

func newVerifyCommand(a *app) *cobra.Command {
	c := &verifyCommand{}
	cmd := &cobra.Command{
		Use:   "verify [NAMESPACE/]STATEFULSET[@RECOVERY-POINT]...",
		Short: "Check that recovery points are whole and undamaged",
		Long: `verify checks the whole repository of a StatefulSet, or with @RECOVERY-POINT only what that one needs. It checks that every volume
that a record names exists, that every directory can be read, and that every piece of every file is in the index and in a pack
of the right size. What a restore would refuse counts as damage: an entry of unknown type, a file whose pieces do not add up to
its size, a directory that is nested in more than 4096 others.

With --read-data it also reads whole packs, decrypts every piece and compares its hash. That finds any damage. With a share,
such as --read-data=5%, it reads that share of the packs, chosen at random.

verify changes nothing, takes no lock and needs no cluster. The exit code is 1 if anything is damaged; the result names the
damage and the recovery points that it affects. Of several StatefulSets it checks each, also if one of them is damaged; with
-o json it prints one document for each.

` + pointsText,
		Example: `  stsbackup verify demo/web
  stsbackup verify demo/web@20261121T08 --read-data
  stsbackup verify --all --all-namespaces --read-data=5% -o json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.choose.oneOrChosen(cmd, &c.kube, args); err != nil {
				return err
			}
			return c.run(cmd.Context(), a, args)
		},
	}
	c.add(cmd)
	c.choose.add(cmd, allWithRepository)
	flag := cmd.Flags().VarPF(&c.readData, "read-data", "", "also read the packs: all of them, or a share such as 5%")
	flag.NoOptDefVal = "100%"
	return cmd
}

func (c *verifyCommand) run(ctx context.Context, a *app, args []string) error {
	u, targets, err := c.several(ctx, a, &c.choose, args, lockFlag{})
	if err != nil {
		return err
	}
	memory.Save(a.getenv)
	do := func(ctx context.Context, t target) (*upkeep.VerifyResult, error) {
		t = t.at(a.now())
		result, err := u.Verify(ctx, upkeep.VerifyRequest{
			StatefulSet: t.name(), RecoveryPoint: t.recoveryPoint, ReadData: float64(c.readData),
		})
		if u.Progress != nil && result != nil && result.Repository.PacksRead > 0 {
			fmt.Fprintln(a.err)
		}
		return result, err
	}
	return each(ctx, a, c.output, targets, do, func(w io.Writer, t target, result *upkeep.VerifyResult) error {
		heading(w, targets, t)
		return ui.WriteVerification(w, result.Verification)
	})
}

// shareFlag is a percentage, stored as 0 to 1.
type shareFlag float64

// String, Set and Type make a shareFlag a pflag.Value.
func (f *shareFlag) String() string {
	if *f == 0 {
		return ""
	}
	return share.Format(float64(*f))
}

func (f *shareFlag) Set(s string) error {
	part, ok := share.Parse(s)
	if !ok {
		return fmt.Errorf("%q is not a share; write for example 5%% or 100%%", s)
	}
	*f = shareFlag(part)
	return nil
}

func (f *shareFlag) Type() string { return "share" }
