package contract

import "path"

// The places in a mover's container.
const (
	// Volume is where the claim is mounted.
	Volume = "/volume"
	// Files is the folder of the mover's files: a Secret that only the mover can read.
	Files = "/etc/stsbackup"
	// Result is the file in which the mover leaves its result. Kubernetes reads the pod's termination message from it.
	Result = "/dev/termination-log"
	// Temporary is the only place where a mover may write besides Volume and Result.
	Temporary = "/tmp"
)

// MaxResult is how many bytes of Result Kubernetes keeps.
const MaxResult = 4096

// ExitProblems is the exit code of a mover that has done its work except for some entries, which its result names.
const ExitProblems = 3

// ProxyFileVariable names the file from which a process reads proxy settings that contain a password: such
// settings never go into the environment.
const ProxyFileVariable = "STSBACKUP_PROXY_FILE"

// File is the name of one of a mover's files in the folder Files.
type File string

// The files of a mover. All but the first exist only if they are needed.
const (
	// Password is the password of the one repository.
	Password File = "password"
	// Credentials are keys for S3, in the format of the AWS tools.
	Credentials File = "credentials"
	// CA are the certificates that the mover trusts, in PEM.
	CA File = "ca.crt"
	// Proxies are proxy settings that contain a password.
	Proxies File = "proxies"
)

// Path is where the mover finds the file.
func (f File) Path() string { return path.Join(Files, string(f)) }
