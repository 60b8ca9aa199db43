"""Print the base names of the arguments as a CWL output object (a tool for the tests)."""

import json
import os
import sys

with open("cwl.output.json", "w") as output:
    json.dump({"args": [os.path.basename(argument) for argument in sys.argv[1:]]}, output)
