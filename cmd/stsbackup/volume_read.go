package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/memory"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/internal/volume"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// volumeRead holds the flags of the commands that read single entries: volume ls and volume cat.
type volumeRead struct {
	volume       volumeFlags
	passwordFile string // password of this repository alone
	claim        string
	// snapshot is the id of the repository snapshot to read; if it is empty, the recovery point names it.
	snapshot string
	output   ui.Format
	// manifests says to read the manifests of a recovery point instead of a volume.
	manifests bool
}

// add adds the flags that both commands have.
func (c *volumeRead) add(cmd *cobra.Command) {
	c.volume.repo.add(cmd)
	contract.BindPassword(cmd.Flags(), &c.passwordFile)
	contract.BindClaim(cmd.Flags(), &c.claim)
	contract.BindSnapshot(cmd.Flags(), &c.snapshot)
	cmd.Flags().BoolVar(&c.manifests, "manifests", false, "read the saved manifests of the recovery point, in place of a claim's volume")
}

func newVolumeLsCommand(a *app) *cobra.Command {
	c := &volumeRead{}
	cmd := &cobra.Command{
		Use:   "ls NAMESPACE/STATEFULSET[@RECOVERY-POINT] [PATH]",
		Short: "List a directory of a saved volume",
		Example: `  stsbackup volume ls demo/web --repo file:///mnt/backup --claim www-web-0 html
  stsbackup volume ls demo/web --repo file:///mnt/backup --manifests`,
		Args: rangeArgs(1, 2, "a StatefulSet and at most one path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			where := ""
			if len(args) > 1 {
				where = args[1]
			}
			return c.ls(cmd.Context(), a, args[0], where)
		},
	}
	c.add(cmd)
	addOutput(cmd, &c.output)
	return cmd
}

func newVolumeCatCommand(a *app) *cobra.Command {
	c := &volumeRead{}
	cmd := &cobra.Command{
		Use:   "cat NAMESPACE/STATEFULSET[@RECOVERY-POINT] PATH",
		Short: "Write a file of a saved volume to standard output",
		Example: `  stsbackup volume cat demo/web --repo file:///mnt/backup --claim www-web-0 html/index.html
  stsbackup volume cat demo/web --repo file:///mnt/backup --manifests statefulset.yaml`,
		Args: exactArgs(2, "a StatefulSet and a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			repo, node, err := c.lookup(cmd.Context(), a, args[0], args[1])
			if err != nil {
				return err
			}
			return archive.Copy(cmd.Context(), repo, node, a.out)
		},
	}
	c.add(cmd)
	return cmd
}

// lookup finds one entry of the volume.
func (c *volumeRead) lookup(ctx context.Context, a *app, name, where string) (*repository.Repository, treeblob.Node, error) {
	memory.Save(a.getenv)
	t, err := volumeTarget(name)
	if err != nil {
		return nil, treeblob.Node{}, err
	}
	points, snapshot, top, err := c.find(ctx, a, t)
	if err != nil {
		return nil, treeblob.Node{}, err
	}
	repo := points.Repository()
	if err := repo.LoadIndex(ctx); err != nil {
		return nil, treeblob.Node{}, err
	}
	node, err := archive.Lookup(ctx, repo, snapshot, top, where)
	if err != nil {
		return nil, treeblob.Node{}, fmt.Errorf("%s in repository snapshot %s: %w", c.what(), snapshot.ID.Short(), err)
	}
	return repo, node, nil
}

// what says, for a message, what is read.
func (c *volumeRead) what() string {
	if c.manifests {
		return "manifests"
	}
	return "claim " + c.claim
}

// find opens the repository, and finds the repository snapshot to read and which of its top-level directories.
func (c *volumeRead) find(
	ctx context.Context,
	a *app,
	t target,
) (points *catalog.Catalog, snapshot repository.Snapshot, top string, err error) {
	if c.manifests && (c.claim != "" || c.snapshot != "") {
		return nil, snapshot, "", usageErrorf("--manifests reads what belongs to no claim; leave --claim and --repository-snapshot out")
	}
	if !c.manifests {
		if err = volume.CheckClaim(c.claim); err != nil {
			return nil, snapshot, "", err
		}
	}
	id, err := parseSnapshot(c.snapshot)
	if err != nil {
		return nil, snapshot, "", err
	}
	where, err := c.volume.repository(a, t, c.passwordFile)
	if err != nil {
		return nil, snapshot, "", err
	}
	if points, err = where.Open(ctx); err != nil {
		return nil, snapshot, "", err
	}
	recoveryPoint := t.at(a.now()).recoveryPoint
	if c.manifests {
		snapshot, err = points.FindRecord(ctx, recoveryPoint)
		return points, snapshot, catalog.ManifestsFolder, err
	}
	snapshot, err = volume.Find(ctx, points, recoveryPoint, c.claim, id)
	return points, snapshot, c.claim, err
}

func (c *volumeRead) ls(ctx context.Context, a *app, name, where string) error {
	repo, node, err := c.lookup(ctx, a, name, where)
	if err != nil {
		return err
	}
	// Stream the entries, once or twice: a directory may have more of them than fit into memory.
	each := func(do func(*treeblob.Node) error) error {
		if node.Type != treeblob.Dir {
			return do(&node)
		}
		return archive.EachEntry(ctx, repo, node, do)
	}
	if c.output == ui.JSON {
		return printEntriesJSON(a.out, each)
	}
	return printEntries(a.out, each)
}

// eachNode calls a function for each of some entries, every time it is called.
type eachNode func(func(*treeblob.Node) error) error

// entryCells are the columns of an entry, except for its name.
func entryCells(n *treeblob.Node) []string {
	return []string{
		n.Mode.String(), strconv.Itoa(int(n.UID)), strconv.Itoa(int(n.GID)), strconv.FormatUint(n.Size, 10), ui.Time(n.ModTime),
	}
}

// printEntries prints what WriteTable would, without holding everything in memory.
func printEntries(to io.Writer, each eachNode) error {
	var widths [5]int
	err := each(func(n *treeblob.Node) error {
		for i, cell := range entryCells(n) {
			widths[i] = max(widths[i], len(cell))
		}
		return nil
	})
	if err != nil {
		return err
	}
	out := bufio.NewWriter(to) // keeps the first error
	err = each(func(n *treeblob.Node) error {
		for i, cell := range entryCells(n) {
			fmt.Fprintf(out, "%-*s  ", widths[i], cell)
		}
		_, err := fmt.Fprintln(out, entryName(n))
		return err
	})
	return errors.Join(err, out.Flush())
}

// entryName is the last column: printable whatever the name holds, because terminals show it.
func entryName(n *treeblob.Node) string {
	name := ui.Printable(n.Name)
	switch n.Type {
	case treeblob.Dir:
		return name + "/"
	case treeblob.Symlink:
		return name + " -> " + ui.Printable(n.LinkTarget)
	default:
		return name
	}
}

// volumeEntry is how volume ls -o json prints an entry.
type volumeEntry struct {
	Name    string    `json:"name"`
	Type    string    `json:"type"`
	Mode    string    `json:"mode"`
	UID     uint32    `json:"uid"`
	GID     uint32    `json:"gid"`
	Size    uint64    `json:"size"`
	ModTime time.Time `json:"modTime"`
	Target  string    `json:"target,omitempty"`
}

// printEntriesJSON prints a list as package json would, without holding everything in memory.
func printEntriesJSON(to io.Writer, each eachNode) error {
	out := bufio.NewWriter(to) // keeps the first error
	begin := "[\n  "
	err := each(func(n *treeblob.Node) error {
		entry, err := json.MarshalIndent(volumeEntry{
			Name: n.Name, Type: string(n.Type), Mode: n.Mode.String(), UID: n.UID, GID: n.GID, Size: n.Size,
			ModTime: n.ModTime, Target: n.LinkTarget,
		}, "  ", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s%s", begin, entry)
		begin = ",\n  "
		return err
	})
	if err != nil {
		return errors.Join(err, out.Flush())
	}
	end := "\n]\n"
	if begin[0] == '[' {
		end = "[]\n"
	}
	fmt.Fprint(out, end)
	return out.Flush()
}
