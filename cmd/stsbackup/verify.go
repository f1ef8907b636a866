package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// repositoryFlags are what the commands have that work on one StatefulSet's repository and need no cluster.
type repositoryFlags struct {
	kube   kubeFlags
	repo   repoFlags
	output outputFlag
}

func (f *repositoryFlags) add(cmd *cobra.Command) {
	f.kube.add(cmd)
	f.repo.add(cmd)
	f.output.add(cmd)
}

// open opens the repository of the StatefulSet that arg names.
func (f *repositoryFlags) open(ctx context.Context, a *app, arg string) (*catalog.Catalog, target, error) {
	t, err := f.kube.target(arg)
	if err != nil {
		return nil, target{}, err
	}
	store, err := openStore(a, &f.repo)
	if err != nil {
		return nil, target{}, err
	}
	points, err := catalog.Open(ctx, store.root, t.namespace, t.statefulSet, store.password(t))
	return points, t, err
}

// openWhole is open for what works on a repository as a whole.
func (f *repositoryFlags) openWhole(ctx context.Context, a *app, arg string) (*catalog.Catalog, error) {
	if name, point, ok := strings.Cut(arg, "@"); ok {
		return nil, usageErrorf("this works on the whole repository of %s; leave @%s out", name, point)
	}
	points, _, err := f.open(ctx, a, arg)
	return points, err
}

// verifyCommand holds the flags of stsbackup verify.
type verifyCommand struct {
	repositoryFlags
	readData shareFlag
}

func newVerifyCommand(a *app) *cobra.Command {
	c := &verifyCommand{}
	cmd := &cobra.Command{
		Use:   "verify [NAMESPACE/]STATEFULSET[@RECOVERY-POINT]",
		Short: "Check that recovery points are whole and undamaged",
		Long: `verify checks the whole repository of a StatefulSet, or with @RECOVERY-POINT what that one needs: every volume that a record
names is there, every directory can be read, and every piece of every file is in the index and in a pack of the right size.

With --read-data it also reads the packs whole, decrypts every piece and compares its hash, which finds any damage at all.
A share, such as --read-data=5%, reads as many of the packs, drawn by chance.

It changes nothing, takes no lock and needs no cluster. The exit code is 1 if anything is damaged; what is damaged, and
which recovery points that hits, is in the result.`,
		Example: `  stsbackup verify demo/web
  stsbackup verify demo/web@20261121T08 --read-data
  stsbackup verify demo/web --read-data=5% -o json`,
		Args: exactArgs(1, "one StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.Context(), a, args[0])
		},
	}
	c.add(cmd)
	flag := cmd.Flags().VarPF(&c.readData, "read-data", "", "read the packs as well: all, or a share of them such as 5%")
	flag.NoOptDefVal = "100%"
	return cmd
}

func (c *verifyCommand) run(ctx context.Context, a *app, arg string) error {
	points, t, err := c.open(ctx, a, arg)
	if err != nil {
		return err
	}
	options := repository.CheckOptions{ReadData: float64(c.readData)}
	if c.output == outputText && a.terminal {
		options.Progress = func(packs, total int) { fmt.Fprintf(a.err, "\r%d of %d packs read", packs, total) }
	}
	result, err := points.Verify(ctx, t.recoveryPoint, options)
	if options.Progress != nil && result.Repository.PacksRead > 0 {
		fmt.Fprintln(a.err)
	}
	if err != nil {
		return err
	}
	if c.output == outputJSON {
		err = printJSON(a.out, result)
	} else {
		err = printVerification(a.out, result)
	}
	if err != nil || result.OK() {
		return err
	}
	return fmt.Errorf("verify %s: damage was found; recovery points that are not named as damaged can be restored. "+
		"Run stsbackup repair, then make a new recovery point: as long as the damage is there, new ones rely on it", t)
}

func printVerification(out io.Writer, v catalog.Verification) error {
	rows := [][]string{{"RECOVERY POINT", "STATE", "VOLUMES", "VERDICT"}}
	for _, point := range v.Points {
		verdict := "ok"
		if len(point.Problems) > 0 {
			verdict = "DAMAGED"
		}
		rows = append(rows, []string{point.ID, string(point.State), strconv.Itoa(point.Volumes), verdict})
	}
	if err := table(out, rows); err != nil {
		return err
	}
	for _, point := range v.Points {
		for _, problem := range point.Problems {
			fmt.Fprintf(out, "damaged: %s: %s\n", point.ID, printable(problem))
		}
	}
	for _, failure := range v.Failures {
		fmt.Fprintf(out, "damaged: %s\n", printable(failure))
	}
	r := v.Repository
	for _, problem := range r.Problems {
		fmt.Fprintf(out, "damaged: %s: %s\n", problem.Object, printable(problem.Reason))
	}
	fmt.Fprintf(out, "%d repository snapshots, %d directories and %d pieces of files looked up in %d packs; %d packs (%s) read whole\n",
		r.Snapshots, r.Trees, r.Blobs, r.Packs, r.PacksRead, humanBytes(r.BytesRead))
	if r.Unindexed > 0 {
		fmt.Fprintf(out, "%d packs are in no index: those of a backup that is running, or what an interrupted one left\n", r.Unindexed)
	}
	return nil
}

// shareFlag is a share in percent, kept as 0 to 1.
type shareFlag float64

// String, Set and Type make a shareFlag a pflag.Value.
func (f *shareFlag) String() string {
	if *f == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*f)*100, 'f', -1, 64) + "%"
}

func (f *shareFlag) Set(s string) error {
	number, ok := strings.CutSuffix(s, "%")
	percent, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(percent > 0 && percent <= 100) {
		return fmt.Errorf("%q is no share such as 5%% or 100%%", s)
	}
	*f = shareFlag(percent / 100)
	return nil
}

func (f *shareFlag) Type() string { return "share" }
