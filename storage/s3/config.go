package s3

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/stsbackup/stsbackup/storage"
)

// Scheme is the scheme of the URLs that ParseURL reads.
const Scheme = "s3"

// The variables that name files. To run this program elsewhere, set them to where the files are there.
const (
	// EnvCredentialsFile is the variable for the file with keys.
	EnvCredentialsFile = "AWS_SHARED_CREDENTIALS_FILE"
	// EnvCAFile is the variable for Config.CAFile.
	EnvCAFile = "AWS_CA_BUNDLE"
)

// Addressing says where a bucket's name stands in the URLs of its objects.
type Addressing string

// The ways to address a bucket.
const (
	// AutoStyle is virtual-host style at AWS, Google and Alibaba, and path style everywhere else.
	AutoStyle Addressing = ""
	// PathStyle is https://endpoint/bucket/object.
	PathStyle Addressing = "path"
	// VirtualHostStyle is https://bucket.endpoint/object.
	VirtualHostStyle Addressing = "virtual-host"
)

// Config says which bucket to use and how to reach it. It holds no credentials.
type Config struct {
	// Bucket is the bucket's name.
	Bucket string
	// Prefix is the part of the bucket to use, without slashes around it; "" means all of it. Open does not apply it:
	// see storage.Sub.
	Prefix string
	// Endpoint is the URL of the service: http:// or https://, a host and perhaps a port. "" means AWS.
	Endpoint string
	// Region is the bucket's region; "" means to ask the service.
	Region string
	// Addressing is AutoStyle unless the service needs a particular style.
	Addressing Addressing
	// Profile names the profile of the AWS configuration files whose credentials to use, before any other.
	Profile string
	// CAFile is a file of certificates, in PEM, to trust besides the system's.
	CAFile string
}

// The parameters of a URL.
const (
	paramEndpoint  = "endpoint"
	paramRegion    = "region"
	paramPathStyle = "path-style"
	paramProfile   = "profile"
	paramCA        = "ca"
)

// parameters lists them all, for the message about an unknown one.
const parameters = paramCA + ", " + paramEndpoint + ", " + paramPathStyle + ", " + paramProfile + ", " + paramRegion

var errUnknownParameter = errors.New("unknown parameter")

// set reads one parameter.
func (c *Config) set(name, value string) (err error) {
	value = strings.TrimSpace(value)
	switch name {
	case paramEndpoint:
		c.Endpoint, err = parseEndpoint(value)
	case paramRegion:
		c.Region, err = parseRegion(value)
	case paramProfile:
		c.Profile = value
	case paramCA:
		c.CAFile = value
	case paramPathStyle:
		var path bool
		if path, err = strconv.ParseBool(value); err != nil {
			return errors.New("must be true or false")
		}
		c.Addressing = VirtualHostStyle
		if path {
			c.Addressing = PathStyle
		}
	default:
		return errUnknownParameter
	}
	return err
}

// ParseURL reads s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME&path-style=true|false&profile=NAME&ca=FILE]. Its errors
// say what is wrong with which part, and never repeat anything that could be a secret.
func ParseURL(text string) (Config, error) {
	text = strings.TrimSpace(text)
	rest, ok := strings.CutPrefix(text, Scheme+"://")
	if !ok {
		return Config{}, fmt.Errorf("does not begin with %s://", Scheme)
	}
	// This comes before anything that would put the URL into an error.
	if authority, _, _ := strings.Cut(rest, "/"); strings.Contains(authority, "@") {
		return Config{}, errCredentialsInURL
	}
	location, err := url.Parse(text)
	if err != nil {
		var parseErr *url.Error
		errors.As(err, &parseErr)
		return Config{}, fmt.Errorf("is not a URL: %w", parseErr.Err)
	}
	config := Config{Bucket: location.Host, Prefix: strings.Trim(location.Path, "/")}
	switch {
	case location.Fragment != "":
		return Config{}, errors.New("has a part after #; write %23 for a # in the prefix")
	case config.Bucket == "":
		return Config{}, errors.New("names no bucket; write s3://BUCKET/PREFIX")
	case location.Port() != "":
		return Config{}, fmt.Errorf(
			"has a port; what follows %s:// is the bucket, and the host and port go into endpoint=http(s)://HOST:PORT",
			Scheme,
		)
	case s3utils.CheckValidBucketName(config.Bucket) != nil:
		return Config{}, fmt.Errorf("names bucket %q, but a bucket's name is 3 to 63 letters, digits, dots and dashes", config.Bucket)
	case config.Prefix != "" && !storage.ValidName(config.Prefix):
		return Config{}, fmt.Errorf("has the prefix %q, in which an element is empty, . or .., or a character cannot be used", config.Prefix)
	}
	return config, config.setParameters(location.RawQuery)
}

var errCredentialsInURL = errors.New("holds credentials, which would show in logs and process lists; " +
	"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws/credentials with profile=")

func (c *Config) setParameters(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("has parameters that cannot be read; write NAME=VALUE&NAME=VALUE, with %26 for a & in a value")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		err := c.set(name, values[name][0])
		switch {
		case errors.Is(err, errUnknownParameter) && looksSecret(name):
			return errCredentialsInURL
		case errors.Is(err, errUnknownParameter):
			return fmt.Errorf("has the unknown parameter %q; there are %s", name, parameters)
		case len(values[name]) > 1:
			return fmt.Errorf("has the parameter %s more than once", name)
		case strings.TrimSpace(values[name][0]) == "":
			return fmt.Errorf("has the parameter %s without a value", name)
		case err != nil:
			return fmt.Errorf("has the parameter %s, which %w", name, err)
		}
	}
	return nil
}

// looksSecret reports whether other tools take credentials in a parameter with this name.
func looksSecret(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "secret") || strings.Contains(name, "key") || strings.Contains(name, "token") ||
		strings.Contains(name, "password")
}

// parseEndpoint checks an endpoint and returns it without a slash at its end.
func parseEndpoint(text string) (string, error) {
	endpoint, err := url.Parse(text)
	switch {
	case err == nil && endpoint.User != nil || strings.Contains(text, "@"):
		return "", errCredentialsInURL
	case err != nil || endpoint.Scheme != "http" && endpoint.Scheme != "https" || endpoint.Host == "":
		return "", fmt.Errorf("must be http://HOST:PORT or https://HOST:PORT, not %q", text)
	case strings.Trim(endpoint.Path, "/") != "" || endpoint.RawQuery != "" || endpoint.Fragment != "":
		return "", fmt.Errorf("must end after the host and port, not %q; the bucket and prefix go before the ?", text)
	}
	return endpoint.Scheme + "://" + endpoint.Host, nil
}

// parseRegion checks the name of a region, which is part of the signed text.
func parseRegion(text string) (string, error) {
	odd := func(r rune) bool { return !unicode.IsPrint(r) || unicode.IsSpace(r) || r == '/' }
	if strings.ContainsFunc(text, odd) {
		return "", fmt.Errorf("must be the name of a region, not %q", text)
	}
	return text, nil
}

// trimmed is getenv without the white space around values, such as line ends of the files that they come from.
func trimmed(getenv func(string) string) func(string) string {
	return func(name string) string { return strings.TrimSpace(getenv(name)) }
}

// URL is the URL that ParseURL reads as this Config.
func (c Config) URL() string {
	values := url.Values{}
	for name, value := range map[string]string{
		paramEndpoint: c.Endpoint, paramRegion: c.Region, paramProfile: c.Profile, paramCA: c.CAFile,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if c.Addressing != AutoStyle {
		values.Set(paramPathStyle, strconv.FormatBool(c.Addressing == PathStyle))
	}
	location := url.URL{Scheme: Scheme, Host: c.Bucket, RawQuery: values.Encode()}
	if c.Prefix != "" {
		location.Path = "/" + c.Prefix
	}
	return location.String()
}

// WithEnvironment fills in what the URL left open, from variables that the AWS tools know: AWS_ENDPOINT_URL_S3 or
// AWS_ENDPOINT_URL, AWS_REGION or AWS_DEFAULT_REGION, and AWS_CA_BUNDLE.
func (c Config) WithEnvironment(getenv func(string) string) (Config, error) {
	getenv = trimmed(getenv)
	for _, name := range []string{"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"} {
		if value := getenv(name); c.Endpoint == "" && value != "" {
			endpoint, err := parseEndpoint(value)
			if err != nil {
				return Config{}, fmt.Errorf("environment variable %s %w", name, err)
			}
			c.Endpoint = endpoint
		}
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if c.Region != "" {
			continue
		}
		region, err := parseRegion(getenv(name))
		if err != nil {
			return Config{}, fmt.Errorf("environment variable %s %w", name, err)
		}
		c.Region = region
	}
	if c.CAFile == "" {
		c.CAFile = getenv(EnvCAFile)
	}
	return c, nil
}
