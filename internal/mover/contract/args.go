package contract

import (
	"strconv"
	"time"
)

// The command that movers run, and its verbs.
const (
	Command     = "volume"
	VerbBackup  = "backup"
	VerbRestore = "restore"
	VerbProbe   = "probe"
)

// The names of the flags that movers get.
const (
	FlagRepo          = "repo"
	FlagPasswordFile  = "repository-password-file"
	FlagResultFile    = "result-file"
	FlagOperation     = "operation"
	FlagClaim         = "claim"
	FlagSnapshot      = "repository-snapshot"
	FlagAs            = "as"
	FlagOrdinal       = "ordinal"
	FlagRecoveryPoint = "recovery-point"
	FlagForceRead     = "force-read"
	FlagCompression   = "compression"
	FlagRetryLock     = "retry-lock"
	FlagIntoEmpty     = "into-empty"
	FlagIntoClaim     = "into-claim"
	FlagResumes       = "resumes"
	FlagTakeBack      = "take-back"
	FlagWrite         = "write"
)

// NoOrdinal is the ordinal of a volume that belongs to no ordinal.
const NoOrdinal = -1

// Common are the arguments that every mover has.
type Common struct {
	// Repo is the URL below which the repositories are, as movers reach it.
	Repo string
	// PasswordFile holds the password of the one repository.
	PasswordFile string
	// ResultFile is where the result goes. A command that has one is a mover: it writes progress to its log as JSON lines.
	ResultFile string
	// Operation is what the lock on the repository says about its holder. A mover that dies leaves its lock behind. By
	// the operation, others know which pod held the lock, and remove the lock when they find that the pod is gone.
	Operation string
}

// InPod are the common arguments of a mover that runs in a pod.
func InPod(repo, operation string) Common {
	return Common{Repo: repo, PasswordFile: Password.Path(), ResultFile: Result, Operation: operation}
}

// BackupArgs are the arguments of a mover that saves a volume.
type BackupArgs struct {
	Common
	// Dir is the directory or block device to save.
	Dir string
	// As is the StatefulSet that the volume belongs to, as namespace/name.
	As    string
	Claim string
	// Ordinal is the claim's ordinal, or NoOrdinal.
	Ordinal       int
	RecoveryPoint string
	// ForceRead makes the mover read files that seem unchanged.
	ForceRead bool
	// Compression is how hard to compress: off, fast, default or max.
	Compression string
	// RetryLock is how long to wait for somebody else's lock on the repository.
	RetryLock time.Duration
}

// RestoreArgs are the arguments of a mover that fills a volume, or removes what another mover has put there.
type RestoreArgs struct {
	Common
	// Source is what to restore, as namespace/statefulset@id.
	Source string
	// Dir is the directory, block device or file to fill.
	Dir string
	// Claim is the claim that was saved.
	Claim              string
	RepositorySnapshot string
	// IntoEmpty makes the mover refuse a directory that holds anything except unfinished work of its own.
	IntoEmpty bool
	// TakeBack makes the mover empty the directory, if it holds what a mover with IntoEmpty has put there.
	TakeBack bool
	// IntoClaim is the claim of the volume that is mounted at the directory, as namespace/name.
	IntoClaim string
	// Resumes are the operations whose unfinished work in the directory may be removed, as their movers got them in Operation.
	Resumes []string
}

// ProbeArgs are the arguments of a mover that checks whether movers can do their work.
type ProbeArgs struct {
	Common
	// Source is the StatefulSet whose repository it opens, as namespace/name or namespace/name@id.
	Source string
	// RepositorySnapshots must be there.
	RepositorySnapshots []string
	// Write makes the mover also check whether it can write to the repository.
	Write bool
}

// Args spells the arguments of stsbackup.
func (a BackupArgs) Args() []string {
	line := a.begin(VerbBackup, a.Dir).
		text(FlagAs, a.As).
		text(FlagClaim, a.Claim).
		text(FlagRecoveryPoint, a.RecoveryPoint).
		truth(FlagForceRead, a.ForceRead).
		text(FlagCompression, a.Compression).
		text(FlagRetryLock, a.RetryLock.String())
	if a.Ordinal != NoOrdinal {
		line = line.text(FlagOrdinal, strconv.Itoa(a.Ordinal))
	}
	return line
}

// Args spells the arguments of stsbackup.
func (a RestoreArgs) Args() []string {
	return a.begin(VerbRestore, a.Source, a.Dir).
		text(FlagClaim, a.Claim).
		text(FlagSnapshot, a.RepositorySnapshot).
		truth(FlagIntoEmpty, a.IntoEmpty).
		truth(FlagTakeBack, a.TakeBack).
		text(FlagIntoClaim, a.IntoClaim).
		list(FlagResumes, a.Resumes)
}

// Args spells the arguments of stsbackup.
func (a ProbeArgs) Args() []string {
	return a.begin(VerbProbe, a.Source).
		list(FlagSnapshot, a.RepositorySnapshots).
		truth(FlagWrite, a.Write)
}

// line is a command line that grows.
type line []string

// begin spells the verb, its argument, and the common arguments.
func (c Common) begin(verb string, on ...string) line {
	return append(line{Command, verb}, on...).
		text(FlagRepo, c.Repo).
		text(FlagPasswordFile, c.PasswordFile).
		text(FlagResultFile, c.ResultFile).
		text(FlagOperation, c.Operation)
}

// text adds a flag with a value, unless the value is empty.
func (l line) text(flag, value string) line {
	if value == "" {
		return l
	}
	return append(l, "--"+flag, value)
}

// truth adds a flag that is true.
func (l line) truth(flag string, value bool) line {
	if !value {
		return l
	}
	return append(l, "--"+flag)
}

// list adds a flag for each value that is not empty.
func (l line) list(flag string, values []string) line {
	for _, value := range values {
		l = l.text(flag, quoted(value))
	}
	return l
}
