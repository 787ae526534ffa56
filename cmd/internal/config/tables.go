package config

import (
	"path/filepath"
	"reflect"
	"strings"
)

// tableID is what makes two catalog entries one: the same catalog, database and table, cases folded as catalogs do.
func tableID(c *Chosen) string {
	if c == nil || c.Config == nil {
		return ""
	}
	parts := []string{c.Kind}
	for _, key := range []string{"database", "table", "endpoint", "region", "path", "catalog_id"} {
		s := keyString(c.Config, key)
		if key == "database" || key == "table" {
			if s == "" {
				return ""
			}
			s = strings.ToLower(s)
		}
		if key == "path" && s != "" {
			s = filepath.Clean(s)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "\x00")
}

// tableName is database.table, for messages.
func tableName(c *Chosen) string {
	return keyString(c.Config, "database") + "." + keyString(c.Config, "table")
}

// keyString is a component's setting by its key, if it is a text.
func keyString(conf any, key string) string {
	v := reflect.ValueOf(conf)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return ""
	}
	for _, f := range fields(v.Elem().Type()) {
		if fv := v.Elem().FieldByIndex(f.index); f.key == key && fv.Kind() == reflect.String {
			return fv.String()
		}
	}
	return ""
}
