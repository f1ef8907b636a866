package contract

import "path"

// The places in a mover's container.
const (
	// Volume is where the claim is mounted.
	Volume = "/volume"
	// Files is the folder of the mover's files: a Secret that the mover alone can read.
	Files = "/etc/stsbackup"
	// Result is the file in which the mover leaves its result. Kubernetes takes it for the pod's termination message.
	Result = "/dev/termination-log"
	// Temporary is the one place where a mover may write besides Volume and Result.
	Temporary = "/tmp"
)

// MaxResult is what Kubernetes keeps of Result, in bytes.
const MaxResult = 4096

// ExitProblems is the exit code of a mover that has done its work but for some entries, which its result names.
const ExitProblems = 3

// ProxyFileVariable names the file from which a process takes the settings of proxies that hold a password: no environment
// holds one.
const ProxyFileVariable = "STSBACKUP_PROXY_FILE"

// File is the name of one of a mover's files in the folder Files.
type File string

// The files of a mover. All but the first are there only if they are needed.
const (
	// Password is that of the one repository.
	Password File = "password"
	// Credentials are keys for S3, in the format of the AWS tools.
	Credentials File = "credentials"
	// CA are the certificates that the mover trusts, in PEM.
	CA File = "ca.crt"
	// Proxies are settings of proxies that hold a password.
	Proxies File = "proxies"
)

// Path is where the mover finds the file.
func (f File) Path() string { return path.Join(Files, string(f)) }
