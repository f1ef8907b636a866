package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

func newKeyCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Show and change the passwords that open a repository",
		Long: `key shows and changes the passwords of one StatefulSet's repository. Each password has a key in the repository: the master key,
sealed under that password. So passwords change, and no data is encrypted anew. To change the root password, add the new one
to every repository, try it, and then use it to remove the old one's keys.`,
		Args: rangeArgs(0, 0, "one of the commands print, list, add and remove"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeyPrintCommand(a), newKeyListCommand(a), newKeyAddCommand(a), newKeyRemoveCommand(a))
	return cmd
}

// keyPrint holds the flags of stsbackup key print.
type keyPrint struct {
	kube         kubeFlags
	passwordFile string
	output       ui.Format
}

func newKeyPrintCommand(a *app) *cobra.Command {
	c := &keyPrint{}
	cmd := &cobra.Command{
		Use:   "print [NAMESPACE/]STATEFULSET",
		Short: "Print the password of one repository",
		Long: `print shows the password of a StatefulSet's repository, which is derived from the root password. With it, restic opens this
repository and no other. print needs neither the cluster nor the bucket.`,
		Example: `  RESTIC_PASSWORD=$(stsbackup key print demo/web) restic -r /mnt/backup/demo/web snapshots`,
		Args:    exactArgs(1, "one StatefulSet"),
		RunE: func(_ *cobra.Command, args []string) error {
			return c.run(a, args[0])
		},
	}
	c.kube.add(cmd)
	cmd.Flags().StringVar(
		&c.passwordFile,
		"password-file",
		"",
		"`file` with the root password ($STSBACKUP_PASSWORD_FILE, or the password itself in $STSBACKUP_PASSWORD)",
	)
	addOutput(cmd, &c.output)
	return cmd
}

func (c *keyPrint) run(a *app, arg string) error {
	t, err := c.kube.target(arg)
	if err != nil {
		return err
	}
	if t.recoveryPoint != "" {
		return usageErrorf("a repository has one password for all recovery points; leave @%s out", t.recoveryPoint)
	}
	root, err := (&repoFlags{passwordFile: c.passwordFile}).password(a)
	if err != nil {
		return err
	}
	return ui.WritePassword(a.out, c.output, t.name(), catalog.Password(repository.Secret(root), t.namespace, t.statefulSet))
}

func newKeyListCommand(a *app) *cobra.Command {
	c := &repositoryFlags{}
	cmd := &cobra.Command{
		Use:     "list [NAMESPACE/]STATEFULSET",
		Short:   "List the keys of a repository",
		Example: `  stsbackup key list demo/web`,
		Args:    exactArgs(1, "one StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			u, t, err := c.one(a, args[0], lockFlag{})
			if err != nil {
				return err
			}
			keys, err := u.Keys(cmd.Context(), t.name())
			if err != nil {
				return err
			}
			return ui.WriteKeys(a.out, c.output, keys)
		},
	}
	c.add(cmd)
	return cmd
}

// keyAdd holds the flags of stsbackup key add.
type keyAdd struct {
	repositoryFlags
	newRoot, newOwn string
}

func newKeyAddCommand(a *app) *cobra.Command {
	c := &keyAdd{}
	cmd := &cobra.Command{
		Use:   "add [NAMESPACE/]STATEFULSET",
		Short: "Let another password open a repository",
		Example: `  stsbackup key add demo/web --new-password-file new.password
  stsbackup key add demo/web --new-repository-password-file auditor.password`,
		Args: exactArgs(1, "one StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.Context(), a, args[0])
		},
	}
	c.add(cmd)
	cmd.Flags().StringVar(&c.newRoot, "new-password-file", "", "`file` with another root password, from which this repository's is derived")
	cmd.Flags().StringVar(&c.newOwn, "new-repository-password-file", "", "`file` with a password that opens this one repository as it is")
	return cmd
}

func (c *keyAdd) run(ctx context.Context, a *app, arg string) error {
	if (c.newRoot == "") == (c.newOwn == "") {
		return usageErrorf("give either --new-password-file or --new-repository-password-file")
	}
	password, err := readPassword(c.newRoot+c.newOwn, "--new-password-file or --new-repository-password-file")
	if err != nil {
		return err
	}
	u, t, err := c.one(a, arg, lockFlag{})
	if err != nil {
		return err
	}
	id, err := u.AddKey(ctx, upkeep.AddKeyRequest{
		StatefulSet: t.name(), Password: repository.Secret(password), IsRoot: c.newRoot != "",
	})
	if err != nil {
		return err
	}
	return ui.WriteKey(a.out, c.output, "added", id)
}

func newKeyRemoveCommand(a *app) *cobra.Command {
	c := &repositoryFlags{}
	var lock lockFlag
	cmd := &cobra.Command{
		Use:   "remove [NAMESPACE/]STATEFULSET KEY",
		Short: "Remove a key, so that its password no longer opens the repository",
		Long: `remove removes a key. Give its id from "stsbackup key list", or the beginning of the id. It does not remove the key that the
command itself uses, so one key is always left.

Somebody who has had the password may have kept a copy of the key, or of the master key in it. To shut out a person who had both
the password and the bucket, take away the bucket.`,
		Example: `  stsbackup key remove demo/web 3fa9c1d2 --password-file new.password`,
		Args:    exactArgs(2, "a StatefulSet and a key"),
		RunE: func(cmd *cobra.Command, args []string) error {
			u, t, err := c.one(a, args[0], lock)
			if err != nil {
				return err
			}
			id, err := u.RemoveKey(cmd.Context(), upkeep.RemoveKeyRequest{StatefulSet: t.name(), Key: args[1]})
			if err != nil {
				return err
			}
			return ui.WriteKey(a.out, c.output, "removed", id)
		},
	}
	c.add(cmd)
	lock.add(cmd)
	return cmd
}
