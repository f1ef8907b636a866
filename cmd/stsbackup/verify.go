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
		Long: `verify checks the whole repository of a StatefulSet, or with @RECOVERY-POINT what that one needs: every volume that a record
names is there, every directory can be read, and every piece of every file is in the index and in a pack of the right size.
What a restore would refuse is damage: an entry of a type that is not known, a file whose pieces do not add up to its size, a
directory deeper than 4096 others.

With --read-data it also reads the packs whole, decrypts every piece and compares its hash, which finds any damage at all.
A share, such as --read-data=5%, reads as many of the packs, drawn by chance.

It changes nothing, takes no lock and needs no cluster. The exit code is 1 if anything is damaged; what is damaged, and
which recovery points that hits, is in the result. Of several StatefulSets, each is checked whatever is found of the others;
with -o json there is one document for each.

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
	flag := cmd.Flags().VarPF(&c.readData, "read-data", "", "read the packs as well: all, or a share of them such as 5%")
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

// shareFlag is a share in percent, kept as 0 to 1.
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
		return fmt.Errorf("%q is no share such as 5%% or 100%%", s)
	}
	*f = shareFlag(part)
	return nil
}

func (f *shareFlag) Type() string { return "share" }
