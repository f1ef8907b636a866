package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/storage/repository/compress"
)

// kubeFlags say which cluster and which namespace. They are named as kubectl's are.
type kubeFlags struct {
	kubeconfig string
	context    string
	namespace  string
}

func (f *kubeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(
		&f.kubeconfig,
		"kubeconfig",
		"",
		"`file` that says how to reach the cluster (default: $KUBECONFIG, ~/.kube/config, or the pod's own account)",
	)
	cmd.Flags().StringVar(&f.context, "context", "", "`name` of the kubeconfig's context to use")
	cmd.Flags().StringVarP(&f.namespace, "namespace", "n", "", "`namespace` of a StatefulSet that is named without one")
}

// target reads [NS/]STS[@RP]; the namespace comes from the argument, from --namespace, or from the kubeconfig.
func (f *kubeFlags) target(arg string) (target, error) {
	t, err := parseTarget(arg, f.namespace)
	if err != nil || t.namespace != "" {
		return t, err
	}
	t.namespace, err = cluster.DefaultNamespace(f.kubeconfig, f.context)
	return t, err
}

// repoFlags say where the repositories are, what opens them, and how much of the bucket may be used.
type repoFlags struct {
	url          string
	passwordFile string
	limits       limitFlags
}

func (f *repoFlags) add(cmd *cobra.Command) {
	f.addURL(cmd)
	f.addAccess(cmd)
}

func (f *repoFlags) addURL(cmd *cobra.Command) {
	cmd.Flags().StringVar(
		&f.url,
		contract.FlagRepo,
		"",
		"`URL` below which the repositories are: s3://bucket/prefix?endpoint=…&region=… or file:///dir ($STSBACKUP_REPO)",
	)
}

// addAccess adds the flags for those who know the URL from elsewhere.
func (f *repoFlags) addAccess(cmd *cobra.Command) {
	cmd.Flags().StringVar(
		&f.passwordFile,
		"password-file",
		"",
		"`file` with the root password ($STSBACKUP_PASSWORD_FILE, or the password itself in $STSBACKUP_PASSWORD)",
	)
	f.limits.add(cmd)
}

// location is the repository root's URL, from the flag or the environment.
func (f *repoFlags) location(a *app) (string, error) {
	if url := strings.TrimSpace(f.url); url != "" {
		return url, nil
	}
	if url := strings.TrimSpace(a.getenv("STSBACKUP_REPO")); url != "" {
		return url, nil
	}
	return "", usageErrorf("no repository: give --repo or set STSBACKUP_REPO, for example s3://bucket/prefix?endpoint=https://s3.example.com")
}

// password is the root password, from the file or the environment.
func (f *repoFlags) password(a *app) (string, error) {
	file := f.passwordFile
	if file == "" {
		file = strings.TrimRight(a.getenv("STSBACKUP_PASSWORD_FILE"), "\r\n")
	}
	if file != "" {
		return readPassword(file)
	}
	if password := a.getenv("STSBACKUP_PASSWORD"); password != "" {
		return cleanPassword(password, "environment variable STSBACKUP_PASSWORD")
	}
	return "", usageErrorf("no password: give --password-file, or set STSBACKUP_PASSWORD_FILE or STSBACKUP_PASSWORD")
}

// readPassword takes the one line of a file.
func readPassword(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the password: %w; --password-file or STSBACKUP_PASSWORD_FILE must name a file that can be read", err)
	}
	return cleanPassword(string(data), "password file "+file)
}

// cleanPassword takes line ends off a password, alike wherever it is from: editors and echo add them. White space around what is
// left cannot be seen, and is copied once and forgotten the next time; that then is a wrong password, on the day of the restore.
func cleanPassword(text, from string) (string, error) {
	password := strings.Trim(text, "\r\n")
	switch {
	case strings.TrimSpace(password) == "":
		return "", usageErrorf("%s is empty", from)
	case strings.ContainsAny(password, "\r\n"):
		return "", usageErrorf("%s has more than one line", from)
	case strings.TrimSpace(password) != password:
		return "", usageErrorf("%s begins or ends with white space, which no password may; remove it", from)
	}
	return password, nil
}

// checkTimeout reports a time that nothing can be done within. The engines take zero for a default of their own.
func checkTimeout(flag string, limit time.Duration) error {
	if limit <= 0 {
		return usageErrorf("--%s is %s; give a time that is longer than 0, such as 5m", flag, limit)
	}
	return nil
}

// lockFlag is --retry-lock: how long to wait for somebody else who works on the repository.
type lockFlag struct{ limit time.Duration }

func (f *lockFlag) add(cmd *cobra.Command) {
	f.limit = backup.DefaultRetryLock
	cmd.Flags().Var(f, contract.FlagRetryLock, "wait so long if somebody holds a lock on the repository that is in the way; 0 is not at all")
}

// String, Set and Type make a lockFlag a pflag.Value.
func (f *lockFlag) String() string { return f.limit.String() }

// Set reads a time that can be waited.
func (f *lockFlag) Set(s string) error {
	limit, err := time.ParseDuration(s)
	if err != nil || limit < 0 {
		return fmt.Errorf("%q is no time to wait; give 0 or such as 5m", s)
	}
	f.limit = limit
	return nil
}

// Type names what the flag takes.
func (f *lockFlag) Type() string { return "duration" }

// outputFlag is -o: how results and progress are printed.
type outputFlag = ui.Format

const (
	outputText = ui.Text
	outputJSON = ui.JSON
)

// addOutput adds -o.
func addOutput(cmd *cobra.Command, output *ui.Format) {
	*output = ui.Text
	cmd.Flags().VarP(output, "output", "o", "how to print: text or json")
}

// compressionFlag is --compression.
type compressionFlag struct{ level compress.Level }

func (f *compressionFlag) add(cmd *cobra.Command) {
	cmd.Flags().Var(f, contract.FlagCompression, "how hard to compress the content of files: off, fast, default or max")
}

// String, Set and Type make a compressionFlag a pflag.Value.
func (f *compressionFlag) String() string { return f.level.String() }

func (f *compressionFlag) Set(s string) (err error) {
	f.level, err = compress.Parse(s)
	return err
}

func (f *compressionFlag) Type() string { return "off|fast|default|max" }
