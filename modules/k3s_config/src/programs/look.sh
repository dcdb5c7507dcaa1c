# Hands over our files. Only reads.
put_file config "$config_file"
put_file registries "$registries_file"
put end ""
