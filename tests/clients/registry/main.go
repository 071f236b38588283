// Reads a registry's servers into the official registry's own types: `client URL`. What these types do not have is an error.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"

	apiv0 "github.com/modelcontextprotocol/registry/pkg/api/v0"
)

const official = "io.modelcontextprotocol.registry/official"

// An answer is read in two steps, for `_meta` may have more than the official part.
type page struct {
	Servers []struct {
		Server json.RawMessage            `json:"server"`
		Meta   map[string]json.RawMessage `json:"_meta"`
	} `json:"servers"`
	Metadata apiv0.Metadata `json:"metadata"`
}

func strictly(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

func read(address string) ([]apiv0.ServerResponse, string, error) {
	answer, err := http.Get(address)
	if err != nil {
		return nil, "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, "", fmt.Errorf("%s answers %s", address, answer.Status)
	}
	var told page
	decoder := json.NewDecoder(answer.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&told); err != nil {
		return nil, "", err
	}
	found := make([]apiv0.ServerResponse, len(told.Servers))
	for at, one := range told.Servers {
		found[at].Meta.Official = &apiv0.RegistryExtensions{}
		if err := strictly(one.Server, &found[at].Server); err != nil {
			return nil, "", err
		}
		if err := strictly(one.Meta[official], found[at].Meta.Official); err != nil {
			return nil, "", err
		}
	}
	if told.Metadata.Count != len(found) {
		return nil, "", fmt.Errorf("count is %d, of %d servers", told.Metadata.Count, len(found))
	}
	return found, told.Metadata.NextCursor, nil
}

func main() {
	all := []apiv0.ServerResponse{}
	cursor := ""
	for {
		query := url.Values{"limit": {"2"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		found, next, err := read(os.Args[1] + "/v0.1/servers?" + query.Encode())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		all = append(all, found...)
		if next == "" {
			break
		}
		cursor = next
	}
	json.NewEncoder(os.Stdout).Encode(all)
}
