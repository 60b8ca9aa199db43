{
 "class": "CommandLineTool",
 "baseCommand": [
  "wc",
  "-l"
 ],
 "inputs": [
  {
   "type": "File",
   "inputBinding": {},
   "id": "cwl:count.cwl#text"
  }
 ],
 "outputs": [
  {
   "type": "File",
   "id": "cwl:count.cwl#count",
   "outputBinding": {
    "glob": "count.txt"
   }
  }
 ],
 "stdout": "count.txt",
 "id": "cwl-upload:///count.cwl",
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
}