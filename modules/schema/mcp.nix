# services.agentfs.instances.<name>.mcp
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  options.mcp.tools = mkOption {
    type = types.nullOr (
      types.listOf (
        types.enum [
          "read_file"
          "write_file"
          "readdir"
          "mkdir"
          "remove"
          "rename"
          "stat"
          "access"
          "find"
          "status"
          "diff"
          "kv_get"
          "kv_set"
          "kv_delete"
          "kv_list"
        ]
      )
    );
    default = null;
    example = literalExpression ''[ "read_file" "readdir" "find" ]'';
    description = ''
      The tools that agents may call over MCP: on standard input (`nixbox-helper mcp`), and at `/mcp` of the HTTP
      surface. Null: all of them; an empty list: none.
    '';
  };
}
