package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/stsbackup/stsbackup/storage"
)

const (
	// sourceTimeout limits how long to ask one place for credentials.
	sourceTimeout = 20 * time.Second
	// metadataTimeout limits how long to ask the metadata service of EC2: outside of EC2 nobody answers there.
	metadataTimeout = 2 * time.Second
)

// source is a place that may have credentials.
type source struct {
	// name says which place it is, for messages.
	name string
	// missing says why there is nothing to try; "" if there is something.
	missing string
	// probe: only asking tells whether the place exists, so a failure means that it does not exist.
	probe    bool
	timeout  time.Duration
	provider credentials.Provider
}

// sources lists the places where the AWS tools look, in their order.
func sources(profile string, getenv func(string) string) []source {
	getenv = trimmed(getenv)
	if profile != "" {
		return []source{fileSource(profile, getenv)}
	}
	return []source{
		environmentSource(getenv),
		webIdentitySource(getenv),
		fileSource("", getenv),
		containerSource(getenv),
		instanceSource(getenv),
	}
}

func environmentSource(getenv func(string) string) source {
	s := source{name: "environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"}
	value := credentials.Value{
		AccessKeyID: getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken: getenv("AWS_SESSION_TOKEN"), SignerType: credentials.SignatureV4,
	}
	if value.AccessKeyID == "" && value.SecretAccessKey == "" {
		s.missing = "not set"
	}
	s.provider = fixed(value)
	return s
}

func webIdentitySource(getenv func(string) string) source {
	file := getenv("AWS_WEB_IDENTITY_TOKEN_FILE")
	s := source{name: "web identity in AWS_WEB_IDENTITY_TOKEN_FILE", timeout: sourceTimeout}
	if file == "" {
		s.missing = "not set"
	}
	provider := &credentials.IAM{Endpoint: getenv("AWS_ENDPOINT_URL_STS"), Region: getenv("AWS_REGION")}
	provider.EKSIdentity.TokenFile = file
	provider.EKSIdentity.RoleARN = getenv("AWS_ROLE_ARN")
	provider.EKSIdentity.RoleSessionName = getenv("AWS_ROLE_SESSION_NAME")
	s.provider = provider
	return s
}

func fileSource(profile string, getenv func(string) string) source {
	named := profile
	if named == "" {
		named = getenv("AWS_PROFILE")
	}
	files := []string{getenv(EnvCredentialsFile), getenv("AWS_CONFIG_FILE")}
	if home, err := os.UserHomeDir(); err == nil {
		for i, name := range []string{"credentials", "config"} {
			if files[i] == "" {
				files[i] = filepath.Join(home, ".aws", name)
			}
		}
	}
	s := source{
		// Without a name it is the default profile, which many people have only to set a region.
		probe: named == "", timeout: sourceTimeout,
		provider: &credentials.FileAWSCredentials{Profile: named},
	}
	if named == "" {
		named = "default"
	}
	s.name = fmt.Sprintf("profile %s in %s", named, strings.Join(files, " and "))
	if !exists(files[0]) && !exists(files[1]) && s.probe {
		s.missing = "no such file"
	}
	return s
}

func containerSource(getenv func(string) string) source {
	s := source{name: "container role in AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or …_FULL_URI", timeout: sourceTimeout}
	if getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") == "" && getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") == "" {
		s.missing = "not set"
	}
	s.provider = &credentials.IAM{Client: metadataClient(sourceTimeout)}
	return s
}

func instanceSource(getenv func(string) string) source {
	s := source{
		name: "EC2 metadata service", probe: true, timeout: metadataTimeout,
		provider: &credentials.IAM{Client: metadataClient(metadataTimeout), Endpoint: getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT")},
	}
	if strings.EqualFold(getenv("AWS_EC2_METADATA_DISABLED"), "true") {
		s.missing = "disabled"
	}
	return s
}

// metadataClient talks to services beside this process or its host, which are never behind a proxy.
func metadataClient(timeout time.Duration) *http.Client {
	dialer := &net.Dialer{Timeout: time.Second}
	return &http.Client{Timeout: timeout, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// chain asks the sources in order; it is a credentials.Provider.
type chain struct {
	sources []source

	mu      sync.Mutex
	current source // where the current credentials are from; its provider knows when they expire
	key     string // the access key in use
	session bool   // whether it has a session token
}

// RetrieveWithCredContext implements credentials.Provider.
func (c *chain) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	var looked []string
	for _, source := range c.sources {
		if source.missing != "" {
			looked = append(looked, fmt.Sprintf("%s (%s)", source.name, source.missing))
			continue
		}
		value, err := source.retrieve(cc)
		if err == nil {
			c.mu.Lock()
			c.current, c.key, c.session = source, value.AccessKeyID, value.SessionToken != ""
			c.mu.Unlock()
			return value, nil
		}
		if !source.probe {
			return credentials.Value{}, &credentialsError{
				err:       fmt.Errorf("%w: %s: %w", storage.ErrCredentials, source.name, err),
				transient: errors.Is(err, errNoAnswer),
			}
		}
		looked = append(looked, fmt.Sprintf("%s (%v)", source.name, err))
	}
	return credentials.Value{}, &credentialsError{err: fmt.Errorf(
		"%w: found none; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with AWS_PROFILE; looked at %s",
		storage.ErrCredentials, strings.Join(looked, ", "))}
}

// Retrieve implements credentials.Provider.
func (c *chain) Retrieve() (credentials.Value, error) {
	return c.RetrieveWithCredContext(&credentials.CredContext{})
}

// IsExpired implements credentials.Provider.
func (c *chain) IsExpired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current.provider == nil || c.current.provider.IsExpired()
}

// inUse returns the access key and the source of the credentials in use, and whether they belong to a session that
// ends. Key and source are empty before there are any.
func (c *chain) inUse() (key, from string, temporary bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.key, c.current.name, c.session
}

func (s source) retrieve(cc *credentials.CredContext) (credentials.Value, error) {
	bounded := *cc
	if bounded.Context == nil {
		bounded.Context = context.Background() // the library's interface has no other context
	}
	if s.timeout > 0 {
		ctx, cancel := context.WithTimeout(bounded.Context, s.timeout)
		defer cancel()
		bounded.Context = ctx
	}
	value, err := s.provider.RetrieveWithCredContext(&bounded)
	// Line ends are never part of a key. A space may be part of a secret key, if quotes in a file say so.
	for _, part := range []*string{&value.AccessKeyID, &value.SecretAccessKey, &value.SessionToken} {
		*part = strings.Trim(*part, "\r\n")
	}
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	switch {
	case err != nil:
		return credentials.Value{}, withoutSecrets(err)
	case value.AccessKeyID == "" && value.SecretAccessKey == "":
		return credentials.Value{}, errors.New("no keys in it")
	case value.AccessKeyID == "":
		return credentials.Value{}, errors.New("the access key is missing")
	case value.SecretAccessKey == "":
		return credentials.Value{}, errors.New("the secret key is missing")
	case strings.ContainsFunc(value.AccessKeyID, odd) || strings.Contains(value.AccessKeyID, " "):
		return credentials.Value{}, errors.New("the access key has white space in it")
	case strings.ContainsFunc(value.SecretAccessKey, odd):
		return credentials.Value{}, errors.New("the secret key has a line break, or another control character, in it")
	case strings.ContainsFunc(value.SessionToken, odd):
		return credentials.Value{}, errors.New("the session token has a line break, or another control character, in it")
	}
	return value, nil
}

// errNoAnswer: the service that hands out credentials could not be reached.
var errNoAnswer = errors.New("no answer")

// fixed is a Provider of one value, half of which may be missing: the library's own takes that for anonymous access.
type fixed credentials.Value

func (f fixed) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return credentials.Value(f), nil
}
func (f fixed) Retrieve() (credentials.Value, error) { return credentials.Value(f), nil }
func (f fixed) IsExpired() bool                      { return false }

// withoutSecrets returns errors that are known to contain no line of a credentials file, and replaces the others.
func withoutSecrets(err error) error {
	var (
		pathErr *fs.PathError
		netErr  net.Error
		exitErr *exec.ExitError
		stsErr  credentials.ErrorResponse
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errNoAnswer
	case errors.As(err, &stsErr):
		return fmt.Errorf("%s: %s", stsErr.STSError.Code, stsErr.STSError.Message)
	case errors.As(err, &pathErr):
		return fmt.Errorf("%s: %w", pathErr.Path, pathErr.Err)
	case errors.As(err, &netErr):
		return errNoAnswer
	case errors.As(err, &exitErr):
		return fmt.Errorf("credential_process: %w", err)
	case strings.HasPrefix(err.Error(), "section "):
		return errors.New("there is no such profile")
	case strings.HasPrefix(err.Error(), "profile "), strings.HasPrefix(err.Error(), "cached SSO token is expired"):
		return err
	default:
		return errors.New("cannot be read")
	}
}

// credentialsError says why no credentials were found, in words that need no addition.
type credentialsError struct {
	err       error
	transient bool
}

func (e *credentialsError) Error() string { return e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// Credentials are S3 keys as values, to hand to a process that cannot find them itself. Printed, they show only their
// access key.
type Credentials struct {
	accessKey, secretKey, sessionToken string
	expires                            time.Time
}

// ResolveCredentials finds the credentials that a Bucket with this Config would use now. Credentials of a role expire:
// see Expires.
func ResolveCredentials(ctx context.Context, config Config, getenv func(string) string) (Credentials, error) {
	transport, err := newTransport(config.CAFile, getenv)
	if err != nil {
		return Credentials{}, err
	}
	defer transport.CloseIdleConnections()
	chain := &chain{sources: sources(config.Profile, getenv)}
	value, err := chain.RetrieveWithCredContext(&credentials.CredContext{Client: &http.Client{Transport: transport}, Context: ctx})
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return Credentials{}, fmt.Errorf("find credentials for s3://%s: %w", config.Bucket, err)
	}
	return Credentials{value.AccessKeyID, value.SecretAccessKey, value.SessionToken, value.Expiration}, nil
}

// AccessKey is the access key's id, which is no secret.
func (c Credentials) AccessKey() string { return c.accessKey }

// SecretKey is the secret key.
func (c Credentials) SecretKey() string { return c.secretKey }

// SessionToken is the token of temporary credentials, otherwise "".
func (c Credentials) SessionToken() string { return c.sessionToken }

// Expires is when the credentials expire; zero means never.
func (c Credentials) Expires() time.Time { return c.expires }

// SharedFile is the credentials as an AWS shared credentials file (AWS_SHARED_CREDENTIALS_FILE), in its default
// profile.
func (c Credentials) SharedFile() []byte {
	file := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", quote(c.accessKey), quote(c.secretKey))
	if c.sessionToken != "" {
		file += fmt.Sprintf("aws_session_token = %s\n", quote(c.sessionToken))
	}
	return []byte(file)
}

// quote protects characters that readers of such files would take for a comment.
func quote(value string) string {
	if strings.ContainsAny(value, "#;`\"' ") {
		return "`" + value + "`"
	}
	return value
}

// Format implements fmt.Formatter for every verb, so that no way of printing shows a secret.
func (c Credentials) Format(state fmt.State, _ rune) {
	fmt.Fprintf(state, "credentials of access key %s", c.accessKey)
}
