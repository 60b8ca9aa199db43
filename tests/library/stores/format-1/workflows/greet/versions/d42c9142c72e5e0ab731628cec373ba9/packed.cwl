{
 "cwlVersion": "v1.3.0-dev1",
 "class": "Workflow",
 "requirements": [
  {
   "class": "InlineJavascriptRequirement"
  },
  {
   "class": "MultipleInputFeatureRequirement"
  },
  {
   "class": "ScatterFeatureRequirement"
  },
  {
   "class": "StepInputExpressionRequirement"
  },
  {
   "class": "SubworkflowFeatureRequirement"
  }
 ],
 "inputs": [
  {
   "type": "string",
   "default": "Hello",
   "id": "cwl:greet.cwl#greeting"
  },
  {
   "type": [
    "null",
    "boolean"
   ],
   "id": "cwl:greet.cwl#loud"
  },
  {
   "type": {
    "type": "array",
    "items": "string"
   },
   "id": "cwl:greet.cwl#names"
  }
 ],
 "outputs": [
  {
   "type": {
    "type": "array",
    "items": "File"
   },
   "outputSource": "cwl:greet.cwl#greet/card",
   "id": "cwl:greet.cwl#cards"
  },
  {
   "type": [
    "null",
    "string"
   ],
   "outputSource": "cwl:greet.cwl#shout/text",
   "id": "cwl:greet.cwl#shouted"
  },
  {
   "type": "int",
   "outputSource": "cwl:greet.cwl#tally/total",
   "id": "cwl:greet.cwl#total"
  }
 ],
 "steps": [
  {
   "run": {
    "class": "CommandLineTool",
    "baseCommand": "echo",
    "inputs": [
     {
      "type": "string",
      "inputBinding": {
       "position": 1
      },
      "id": "cwl:card.cwl#greeting"
     },
     {
      "type": "string",
      "inputBinding": {
       "position": 2
      },
      "id": "cwl:card.cwl#name"
     }
    ],
    "outputs": [
     {
      "type": "File",
      "id": "cwl:card.cwl#card",
      "outputBinding": {
       "glob": "$(inputs.name).txt"
      }
     }
    ],
    "stdout": "$(inputs.name).txt",
    "requirements": [
     {
      "class": "InlineJavascriptRequirement"
     }
    ],
    "id": "cwl-upload:///card.cwl",
    "cwlVersion": "v1.3.0-dev1",
    "http://commonwl.org/cwltool#original_cwlVersion": "v1.1"
   },
   "scatter": "cwl:greet.cwl#greet/name",
   "in": [
    {
     "source": "cwl:greet.cwl#greeting",
     "id": "cwl:greet.cwl#greet/greeting"
    },
    {
     "source": "cwl:greet.cwl#names",
     "id": "cwl:greet.cwl#greet/name"
    }
   ],
   "out": [
    "cwl:greet.cwl#greet/card"
   ],
   "id": "cwl:greet.cwl#greet"
  },
  {
   "run": {
    "class": "ExpressionTool",
    "inputs": [
     {
      "type": "string",
      "id": "cwl:greet.cwl#shout/run/text"
     }
    ],
    "outputs": [
     {
      "type": "string",
      "id": "cwl:greet.cwl#shout/run/text"
     }
    ],
    "expression": "${ return {text: inputs.text.toUpperCase()}; }",
    "id": "_:2dcfb1dd-d0c7-47c6-a5b4-e13e2896af1f",
    "cwlVersion": "v1.3.0-dev1",
    "http://commonwl.org/cwltool#original_cwlVersion": "v1.2"
   },
   "when": "$(inputs.loud === true)",
   "in": [
    {
     "source": "cwl:greet.cwl#loud",
     "id": "cwl:greet.cwl#shout/loud"
    },
    {
     "source": "cwl:greet.cwl#greeting",
     "valueFrom": "$(self + \"!\")",
     "id": "cwl:greet.cwl#shout/text"
    }
   ],
   "out": [
    "cwl:greet.cwl#shout/text"
   ],
   "id": "cwl:greet.cwl#shout"
  },
  {
   "run": {
    "class": "Workflow",
    "requirements": [
     {
      "class": "InlineJavascriptRequirement"
     }
    ],
    "inputs": [
     {
      "type": {
       "type": "array",
       "items": "File"
      },
      "id": "cwl:tally.cwl#cards"
     }
    ],
    "outputs": [
     {
      "type": "int",
      "outputSource": "cwl:tally.cwl#count/total",
      "id": "cwl:tally.cwl#total"
     }
    ],
    "steps": [
     {
      "run": {
       "class": "ExpressionTool",
       "inputs": [
        {
         "type": {
          "type": "array",
          "items": "File"
         },
         "id": "cwl:tally.cwl#count/4b78a159-602c-4e3e-95f2-a4f9d498e600/cards"
        }
       ],
       "outputs": [
        {
         "type": "int",
         "id": "cwl:tally.cwl#count/4b78a159-602c-4e3e-95f2-a4f9d498e600/total"
        }
       ],
       "expression": "${ return {total: inputs.cards.length}; }",
       "id": "cwl:tally.cwl#count/4b78a159-602c-4e3e-95f2-a4f9d498e600",
       "cwlVersion": "v1.3.0-dev1",
       "http://commonwl.org/cwltool#original_cwlVersion": "v1.0"
      },
      "in": [
       {
        "source": "cwl:tally.cwl#cards",
        "id": "cwl:tally.cwl#count/cards"
       }
      ],
      "out": [
       "cwl:tally.cwl#count/total"
      ],
      "id": "cwl:tally.cwl#count"
     }
    ],
    "id": "cwl-upload:///tally.cwl",
    "hints": [
     {
      "class": "LoadListingRequirement",
      "loadListing": "deep_listing"
     },
     {
      "class": "NetworkAccess",
      "networkAccess": true
     }
    ],
    "cwlVersion": "v1.3.0-dev1",
    "http://commonwl.org/cwltool#original_cwlVersion": "v1.0"
   },
   "in": [
    {
     "source": "cwl:greet.cwl#greet/card",
     "id": "cwl:greet.cwl#tally/cards"
    }
   ],
   "out": [
    "cwl:greet.cwl#tally/total"
   ],
   "id": "cwl:greet.cwl#tally"
  }
 ],
 "id": "cwl-upload:///greet.cwl",
 "http://commonwl.org/cwltool#original_cwlVersion": "v1.2"
}