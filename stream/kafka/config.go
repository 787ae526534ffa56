package kafka

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/stream"
)

// Config is source.kafka.
type Config struct {
	Brokers      []string `yaml:"brokers" doc:"bootstrap addresses, host:port"`
	Topics       []string `yaml:"topics" doc:"topics to read"`
	TopicPattern string   `yaml:"topic_pattern" doc:"regular expression that a topic's whole name must match; new topics are picked up while running"`
	Group        string   `yaml:"group" doc:"consumer group in which workers share the lanes; default millrace.<name>"`
	StartAt      string   `yaml:"start_at" doc:"earliest, latest or an RFC 3339 timestamp; only for partitions that exist when the pipeline is created"`
	Isolation    string   `yaml:"isolation" doc:"read_committed or read_uncommitted"`
	KeyedBy      []string `yaml:"keyed_by" doc:"columns by which producers choose the partition: all records of a key are in one"`
	Identity     string   `yaml:"identity" doc:"topic_id, or name for brokers without topic ids: a topic created anew is then not noticed"`
	Rack         string   `yaml:"rack" plan:"-" doc:"where this worker stands; brokers may then serve it from a replica nearby"`
	TLS          *TLS     `yaml:"tls" doc:"encrypt connections"`
	SASL         *SASL    `yaml:"sasl" doc:"log in"`
}

// TLS is source.kafka.tls.
type TLS struct {
	CA         string `yaml:"ca" doc:"file with the certificates that sign the brokers'; default: the system's"`
	Cert       string `yaml:"cert" doc:"file with this client's certificate"`
	Key        string `yaml:"key" doc:"file with its private key"`
	ServerName string `yaml:"server_name" doc:"name to expect in the brokers' certificates, if not their host name"`
}

// SASL is source.kafka.sasl.
type SASL struct {
	Mechanism string        `yaml:"mechanism" doc:"plain, scram-sha-256, scram-sha-512, aws_msk_iam or oauthbearer"`
	Username  string        `yaml:"username" doc:"user; for aws_msk_iam an access key, default: the AWS SDK's credential chain"`
	Password  stream.Secret `yaml:"password" doc:"password; for aws_msk_iam the secret key, for oauthbearer the token"`
}

// Values of the configuration.
const (
	earliest        = "earliest"
	latest          = "latest"
	readCommitted   = "read_committed"
	readUncommitted = "read_uncommitted"
	identityID      = "topic_id"
	identityName    = "name"

	mechPlain     = "plain"
	mechScram256  = "scram-sha-256"
	mechScram512  = "scram-sha-512"
	mechMSK       = "aws_msk_iam"
	mechOAuth     = "oauthbearer"
	maxTopicName  = 249 // bytes, Kafka's own limit
	patternWhole  = "^(?:%s)$"
	reservedTopic = "__" // how the names of Kafka's own topics begin; a pattern never takes them
)

// DefaultConfig is what holds for keys that are left out.
func DefaultConfig() Config {
	return Config{StartAt: earliest, Isolation: readCommitted, Identity: identityID}
}

// Validate lists everything that is wrong.
func (c *Config) Validate() []stream.Fault {
	var fs []stream.Fault
	fault := func(path, code, text, fix string) {
		fs = append(fs, stream.Fault{Path: path, Code: code, Text: text, Fix: fix})
	}
	if len(c.brokers()) == 0 {
		fault("brokers", "E3101", "no brokers are given", "brokers: [localhost:9092]")
	}
	for i, b := range c.Brokers {
		for _, a := range strings.Split(b, ",") {
			if msg := checkAddress(strings.TrimSpace(a)); msg != "" {
				fault(fmt.Sprintf("brokers[%d]", i), "E3102", fmt.Sprintf("%q is not a broker's address: %s", a, msg), "write host:port, like kafka-1:9092")
			}
		}
	}
	switch {
	case len(c.Topics) == 0 && c.TopicPattern == "":
		fault("topics", "E3103", "neither topics nor topic_pattern is given", "topics: [orders]")
	case len(c.Topics) > 0 && c.TopicPattern != "":
		fault("topic_pattern", "E3104", "topics and topic_pattern exclude each other", "keep one of them")
	}
	for i, t := range c.Topics {
		path := fmt.Sprintf("topics[%d]", i)
		if !topicName.MatchString(t) || len(t) > maxTopicName || t == "." || t == ".." {
			fault(path, "E3105", fmt.Sprintf("%q is not a topic's name", t), "letters, digits, '.', '_' and '-'; a regular expression goes to topic_pattern")
		} else if slices.Contains(c.Topics[:i], t) {
			fault(path, "E3106", fmt.Sprintf("topic %q is listed twice", t), "remove one")
		}
	}
	if c.TopicPattern != "" {
		if _, err := regexp.Compile(fmt.Sprintf(patternWhole, c.TopicPattern)); err != nil {
			fault("topic_pattern", "E3107", fmt.Sprintf("%q is not a regular expression: %v", c.TopicPattern, err), "see https://golang.org/s/re2syntax")
		}
	}
	if c.StartAt != "" && c.StartAt != earliest && c.StartAt != latest {
		if _, err := time.Parse(time.RFC3339, c.StartAt); err != nil {
			fault("start_at", "E3108", fmt.Sprintf("%q is no place to start", c.StartAt), "earliest, latest, or a time like 2026-01-31T00:00:00Z")
		}
	}
	oneOf := func(path, value string, words ...string) {
		if !slices.Contains(words, value) {
			fault(path, "E3109", fmt.Sprintf("%q is not known here", value), strings.Join(words, " or "))
		}
	}
	oneOf("isolation", c.Isolation, readCommitted, readUncommitted)
	oneOf("identity", c.Identity, identityID, identityName)
	if c.TLS != nil && (c.TLS.Cert == "") != (c.TLS.Key == "") {
		fault("tls", "E3110", "cert and key belong together", "give both or neither")
	}
	if s := c.SASL; s != nil {
		oneOf("sasl.mechanism", s.Mechanism, mechPlain, mechScram256, mechScram512, mechMSK, mechOAuth)
		needUser := s.Mechanism == mechPlain || s.Mechanism == mechScram256 || s.Mechanism == mechScram512
		if needUser && s.Username == "" {
			fault("sasl.username", "E3111", s.Mechanism+" needs a user name", "username: …")
		}
		if (needUser || s.Mechanism == mechOAuth) && s.Password == "" {
			fault("sasl.password", "E3112", s.Mechanism+" needs a password", "password: ${KAFKA_PASSWORD}")
		}
		if s.Mechanism == mechMSK && (s.Username == "") != (s.Password == "") {
			fault("sasl", "E3113", "username and password belong together", "give both, or neither to take the AWS SDK's credentials")
		}
	}
	return fs
}

// a constant that Go cannot write as one
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

// brokers are the addresses, with lists in one string taken apart: an environment variable often holds several.
func (c *Config) brokers() []string {
	var out []string
	for _, b := range c.Brokers {
		for _, a := range strings.Split(b, ",") {
			if a = strings.TrimSpace(a); a != "" {
				out = append(out, a)
			}
		}
	}
	return out
}

func checkAddress(a string) string {
	host, port, err := net.SplitHostPort(a)
	if err != nil {
		return "it has no port"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "its port is no number between 1 and 65535"
	}
	if host == "" || strings.ContainsAny(host, "/ ") {
		return "its host is not a name or an IP address"
	}
	return ""
}

// wants tells whether a topic is to be read.
func (c *Config) wants() func(topic string) bool {
	if c.TopicPattern == "" {
		return func(t string) bool { return slices.Contains(c.Topics, t) }
	}
	re, err := regexp.Compile(fmt.Sprintf(patternWhole, c.TopicPattern))
	if err != nil {
		return func(string) bool { return false }
	}
	return func(t string) bool { return !strings.HasPrefix(t, reservedTopic) && re.MatchString(t) }
}
