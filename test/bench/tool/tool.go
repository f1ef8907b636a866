package tool

import "path/filepath"

// password is the password of all repositories.
const password = "benchmark"

// Repository says where a repository is.
type Repository struct {
	// Dir is the repository's directory on this machine; if S3 is set, the folder that the server keeps for it.
	Dir string
	// Home is a directory for what the tool keeps outside of the repository.
	Home string
	// S3 says how to reach the repository, if it is not simply in Dir.
	S3 *S3
}

// S3 is a part of a bucket of an S3 server.
type S3 struct {
	// Address is host:port, reached by plain HTTP.
	Address string
	// Region is the region of the bucket.
	Region string
	// Bucket and Prefix say which part of which bucket.
	Bucket, Prefix string
	// AccessKey and SecretKey are the credentials.
	AccessKey, SecretKey string
}

// Command is a program to run.
type Command struct {
	// Path is the program, Args are its arguments.
	Path string
	Args []string
	// Env is its whole environment, except for PATH.
	Env []string
	// Dir is the directory in which it runs; "" is the present one.
	Dir string
}

// Tool is one of the compared tools.
type Tool interface {
	// Name is the tool's name.
	Name() string
	// Version returns the command that prints the tool's version.
	Version() Command
	// Init returns the commands that make an empty repository, in order.
	Init(Repository) []Command
	// Backup returns the command that saves the directory dir as a volume.
	Backup(r Repository, volume, dir string) Command
	// Restore returns the command that restores the volume's last backup, made of dir, into target, which does not
	// exist.
	Restore(r Repository, volume, dir, target string) Command
}

// All returns the tools, ours first; their programs are in the directory bin.
func All(bin string) []Tool {
	return []Tool{
		stsbackup{filepath.Join(bin, "stsbackup")},
		restic{filepath.Join(bin, "restic")},
		kopia{filepath.Join(bin, "kopia")},
	}
}

// awsEnv holds the credentials in the variables that most tools read.
func (s *S3) awsEnv() []string {
	if s == nil {
		return nil
	}
	return []string{"AWS_ACCESS_KEY_ID=" + s.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s.SecretKey, "AWS_DEFAULT_REGION=" + s.Region}
}
